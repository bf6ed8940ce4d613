// The kernel of Level Zero as SPIR-V 1.0, made with `spirv-as --target-env spv1.0` of what stands here; the test assembles it
// again where that tool is, and compares.
//
//   OpCapability Addresses
//   OpCapability Kernel
//   OpCapability Int64
//   %1 = OpExtInstImport "OpenCL.std"
//   OpMemoryModel Physical64 OpenCL
//   OpEntryPoint Kernel %main "gpuctl_mad" %id
//   OpDecorate %id BuiltIn GlobalInvocationId
//   OpDecorate %id Constant
//   %uint = OpTypeInt 32 0
//   %ulong = OpTypeInt 64 0
//   %v3long = OpTypeVector %ulong 3
//   %void = OpTypeVoid
//   %ptr_in_v3  = OpTypePointer Input %v3long
//   %ptr_uint  = OpTypePointer CrossWorkgroup %uint
//   %type = OpTypeFunction %void %ptr_uint %ptr_uint %ptr_uint %uint
//   %id = OpVariable %ptr_in_v3 Input
//   %main = OpFunction %void None %type
//   %a = OpFunctionParameter %ptr_uint
//   %b = OpFunctionParameter %ptr_uint
//   %c = OpFunctionParameter %ptr_uint
//   %k = OpFunctionParameter %uint
//   %entry = OpLabel
//   %ids = OpLoad %v3long %id Aligned 32
//   %i = OpCompositeExtract %ulong %ids 0
//   %pa = OpInBoundsPtrAccessChain %ptr_uint %a %i
//   %va = OpLoad %uint %pa Aligned 4
//   %pb = OpInBoundsPtrAccessChain %ptr_uint %b %i
//   %vb = OpLoad %uint %pb Aligned 4
//   %product = OpIMul %uint %va %k
//   %sum = OpIAdd %uint %product %vb
//   %pc = OpInBoundsPtrAccessChain %ptr_uint %c %i
//   OpStore %pc %sum Aligned 4
//   OpReturn
//   OpFunctionEnd
#pragma once

#include <cstdint>

namespace sanity {

constexpr std::uint32_t kSpirv[] = {
    0x07230203, 0x00010000, 0x00000000, 0x00000019, 0x00000000, 0x00020011, 0x00000004, 0x00020011,
    0x00000006, 0x00020011, 0x0000000b, 0x0005000b, 0x00000001, 0x6e65704f, 0x732e4c43, 0x00006474,
    0x0003000e, 0x00000002, 0x00000002, 0x0007000f, 0x00000006, 0x00000002, 0x63757067, 0x6d5f6c74,
    0x00006461, 0x00000003, 0x00040047, 0x00000003, 0x0000000b, 0x0000001c, 0x00030047, 0x00000003,
    0x00000016, 0x00040015, 0x00000004, 0x00000020, 0x00000000, 0x00040015, 0x00000005, 0x00000040,
    0x00000000, 0x00040017, 0x00000006, 0x00000005, 0x00000003, 0x00020013, 0x00000007, 0x00040020,
    0x00000008, 0x00000001, 0x00000006, 0x00040020, 0x00000009, 0x00000005, 0x00000004, 0x00070021,
    0x0000000a, 0x00000007, 0x00000009, 0x00000009, 0x00000009, 0x00000004, 0x0004003b, 0x00000008,
    0x00000003, 0x00000001, 0x00050036, 0x00000007, 0x00000002, 0x00000000, 0x0000000a, 0x00030037,
    0x00000009, 0x0000000b, 0x00030037, 0x00000009, 0x0000000c, 0x00030037, 0x00000009, 0x0000000d,
    0x00030037, 0x00000004, 0x0000000e, 0x000200f8, 0x0000000f, 0x0006003d, 0x00000006, 0x00000010,
    0x00000003, 0x00000002, 0x00000020, 0x00050051, 0x00000005, 0x00000011, 0x00000010, 0x00000000,
    0x00050046, 0x00000009, 0x00000012, 0x0000000b, 0x00000011, 0x0006003d, 0x00000004, 0x00000013,
    0x00000012, 0x00000002, 0x00000004, 0x00050046, 0x00000009, 0x00000014, 0x0000000c, 0x00000011,
    0x0006003d, 0x00000004, 0x00000015, 0x00000014, 0x00000002, 0x00000004, 0x00050084, 0x00000004,
    0x00000016, 0x00000013, 0x0000000e, 0x00050080, 0x00000004, 0x00000017, 0x00000016, 0x00000015,
    0x00050046, 0x00000009, 0x00000018, 0x0000000d, 0x00000011, 0x0005003e, 0x00000018, 0x00000017,
    0x00000002, 0x00000004, 0x000100fd, 0x00010038,
};

}  // namespace sanity

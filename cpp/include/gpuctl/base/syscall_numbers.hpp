// System calls that are younger than the headers of some machines we compile on (EL8 has those of Linux 4.18).
// Since Linux 5.1 new calls have the same number on every architecture.
#pragma once

namespace gpuctl::syscall_numbers {

inline constexpr long kPidfdSendSignal = 424;        // 5.1
inline constexpr long kOpenTree = 428;               // 5.2
inline constexpr long kMoveMount = 429;              // 5.2
inline constexpr long kFsopen = 430;                 // 5.2
inline constexpr long kFsconfig = 431;               // 5.2
inline constexpr long kFsmount = 432;                // 5.2
inline constexpr long kPidfdOpen = 434;              // 5.3
inline constexpr long kClone3 = 435;                 // 5.3
inline constexpr long kCloseRange = 436;             // 5.9
inline constexpr long kMountSetattr = 442;           // 5.12
inline constexpr long kOpenat2 = 437;                // 5.6
inline constexpr long kPidfdGetfd = 438;             // 5.6
inline constexpr long kLandlockCreateRuleset = 444;  // 5.13
inline constexpr long kLandlockAddRule = 445;        // 5.13
inline constexpr long kLandlockRestrictSelf = 446;   // 5.13

}  // namespace gpuctl::syscall_numbers

"""`JDLVariables` to environment, as JAliEn's JobWrapper exports it.

Each tag that the list names becomes `ALIEN_JDL_<TAG IN UPPER CASE>` with the tag's value: text as
it stands (an escaped quote keeps its backslash), a list joined by `##`, a number as Java prints it.
A name that the JDL does not define is skipped. JAliEn adds CPUCores to the list at submission, so
it is always there.
"""

from __future__ import annotations

from gpuctl.jdl.fields import Fields

PREFIX = "ALIEN_JDL_"
LIST_SEPARATOR = "##"


def exported_variables(fields: Fields, cpu_cores: int) -> dict[str, str]:
    variables = {}
    for name in fields.texts("JDLVariables"):
        if name in fields.doc:
            variables[PREFIX + name.upper()] = LIST_SEPARATOR.join(fields.doc.get_list(name))
        elif name.lower() != "cpucores":
            fields.warn(
                "JDLVariables", f"`JDLVariables` names `{name[:40]}`, which the JDL does not define"
            )
    variables[PREFIX + "CPUCORES"] = str(cpu_cores)
    return variables

"""moto's server, with one thing mended: the statements of a bucket's policy that have conditions.

moto 5.2.5 gives the judge of a bucket's policy nothing to hold conditions against, and the judge takes each of them for
met, whatever it says: `Deny s3:PutObject` for a tag that nobody has denies every PutObject. With an ordinary policy
(`Deny s3:*` unless the connection is encrypted) nothing can be put any more. Here such a statement says nothing. All
others are judged as moto judges them, and so are policies that come with values for their conditions.

Arguments and environment are those of `python -m moto.server`.
"""

from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.server import main

judge = IAMPolicyStatement.is_action_permitted


def judge_what_is_known(
    self, action, resource="*", principal=None, incoming_condition_values=None
):
    statement = self._statement
    conditional = statement["Effect"] == "Deny" and statement.get("Condition")
    if conditional and not incoming_condition_values:
        return PermissionResult.NEUTRAL
    return judge(self, action, resource, principal, incoming_condition_values)


IAMPolicyStatement.is_action_permitted = judge_what_is_known

if __name__ == "__main__":
    main()

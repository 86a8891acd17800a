"""moto's server, with two things mended: the statements of a bucket's policy that have conditions, and pages of
requests for accounts.

moto 5.2.5 gives the judge of a bucket's policy nothing to hold conditions against, and the judge takes each of them for
met, whatever it says: `Deny s3:PutObject` for a tag that nobody has denies every PutObject. With an ordinary policy
(`Deny s3:*` unless the connection is encrypted) nothing can be put any more. Here such a statement says nothing. All
others are judged as moto judges them, and so are policies that come with values for their conditions.

The token for the next page of ListCreateAccountStatus is, with moto, how long this page is, and not where the next one
begins: behind the second page comes the second page, for ever. Here it is where the next one begins.

Arguments and environment are those of `python -m moto.server`.
"""

from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.organizations.models import OrganizationsBackend
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


listed = OrganizationsBackend.list_create_account_status


def list_on(self, **kwargs):
    page = listed(self, **kwargs)
    if page["NextToken"]:
        start = int(kwargs.get("NextToken") or 0)
        page["NextToken"] = str(start + int(page["NextToken"]))
    return page


IAMPolicyStatement.is_action_permitted = judge_what_is_known
OrganizationsBackend.list_create_account_status = list_on

if __name__ == "__main__":
    main()

package blacklist

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

func TestReports_RuleOfTheSuppressionList(t *testing.T) {
	t.Parallel()
	delivered := providers.DLR{MessageID: "1", To: 254712000000, Status: providers.MessageStatus{Final: true, Delivered: true, State: "Success"}}
	failed := func(to sms.MSISDN) providers.DLR {
		return providers.DLR{MessageID: "2", To: to, Status: providers.MessageStatus{Final: true, State: "Failed"}, Reason: "UserInBlackList", Blacklisted: true}
	}
	// The field "want" has, for each report, how many numbers the report puts on the list.
	for name, tc := range map[string]struct {
		sender   string
		bySender bool
		reports  []providers.DLR
		want     []int
	}{
		"between delivered messages":    {"ACME", true, []providers.DLR{delivered, failed(1), failed(2), delivered}, []int{0, 0, 0, 2}},
		"no message was delivered":      {"ACME", true, []providers.DLR{failed(1), failed(2)}, []int{0, 0}},
		"none delivered after it":       {"ACME", true, []providers.DLR{delivered, failed(1)}, []int{0, 0}},
		"without a sender ID":           {"", true, []providers.DLR{delivered, failed(1), delivered}, []int{0, 0, 0}},
		"without a sender ID, for all":  {"", false, []providers.DLR{delivered, failed(1), delivered}, []int{0, 0, 1}},
		"a report without a number":     {"ACME", true, []providers.DLR{delivered, failed(0), delivered}, []int{0, 0, 0}},
		"another failure":               {"ACME", true, []providers.DLR{delivered, {To: 1, Status: providers.MessageStatus{Final: true}, Reason: "UserDoesNotExist"}, delivered}, []int{0, 0, 0}},
		"all recipients of the account": {"ACME", true, append(append([]providers.DLR{delivered}, everyNumber(failed)...), delivered), make([]int, RunLimit+2)},
	} {
		l := new(Reports)
		for i, d := range tc.reports {
			list, got := l.ofReport("at", tc.sender, tc.bySender, d)
			if len(got) != tc.want[i] {
				t.Errorf("%s: report %d: got %v, want %d numbers", name, i, got, tc.want[i])
			}
			for _, e := range got {
				if e.Origin != "gateway:at:UserInBlackList" || (list == campaign.AllSenders) == tc.bySender {
					t.Errorf("%s: got the entry %+v for the list %q, want the account and the code in the origin, and the list of the sender ID", name, e, list)
				}
			}
		}
	}
}

// everyNumber returns RunLimit reports. If all of them are about blacklisted recipients, the run of
// such recipients is too long.
func everyNumber(failed func(sms.MSISDN) providers.DLR) (reports []providers.DLR) {
	for n := range sms.MSISDN(RunLimit) {
		reports = append(reports, failed(n+1))
	}
	return reports
}

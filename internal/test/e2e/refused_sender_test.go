package e2e

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// The function "personal" yields n recipients of the i-th gateway. Each has a different name in the text.
func personal(i, n int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for k := range n {
			if !yield(producer.Recipient{Number: fmt.Sprint(number(i, k)), Fields: map[string]string{"name": fmt.Sprintf("N%d", k)}}, nil) {
				return
			}
		}
	}
}

// withKeyAccount adds an account of Connect Media's current API to a deployment of all gateways.
// The name of the account is "key".
func withKeyAccount(x *allGateways) {
	x.t.Helper()
	x.write("tuma.yaml", x.read("tuma.yaml")+"  key:\n    provider: connectmedia\n    base_url: http://"+x.address+"/connectmedia\n    sender: ACME\n    api_key: demo\n")
}

// startAccounts starts a worker process and returns when it serves n accounts.
func (x *allGateways) startAccounts(n int) {
	x.t.Helper()
	x.spawn()
	x.eventually(20*time.Second, "a worker to serve every account", func() bool {
		accounts, err := x.client.Accounts(x.t.Context())
		return err == nil && len(accounts) == n && !slices.ContainsFunc(accounts, func(a producer.Account) bool { return a.Workers == 0 })
	})
}

// refusedText maps each gateway to its code for a refused text. Africa's Talking has no code for a text, so its entry
// is the code for a recipient that the operator rejects.
var refusedText = map[string]string{"kobo": "error_param", "textconnect": "-507", "africastalking": "502", "qserve": "X000", "connectmedia": "105"}

// A gateway refuses one text of a campaign with merge fields. All recipients with other texts must get their
// messages. The campaign must end without a pause, because this test does not resume the campaign.
func TestGateways_OneRefusedTextOfAPersonalisedCampaign(t *testing.T) {
	t.Parallel()
	const n = 200
	x := newAllGateways(t, simulator.Options{}, nil)
	withKeyAccount(x)
	x.startAccounts(len(x.kinds) + 1)
	send := func(i int, account, provider string) {
		if err := x.gateway.Fail(simulator.Fault{Name: "code_" + refusedText[provider], Gateway: provider, N: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: account, Via: account, Body: "Hi {{name}}"}, personal(i, n)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(account, provider string) {
		s := x.wait(account, time.Minute)
		if s.State != producer.Done || s.Accepted != n-1 || s.Rejected != 1 {
			t.Errorf("%s: got %+v, want %d accepted and 1 rejected", account, s, n-1)
		}
		for r, err := range x.client.Results(t.Context(), account, "rejected") {
			if err != nil || r.Code != refusedText[provider] || r.Reason == "" {
				t.Errorf("%s: got the rejected recipient %+v and the error %v, want the code %s and a reason", account, r, err, refusedText[provider])
			}
		}
	}
	for i, k := range x.kinds {
		send(i, k.Name, k.Name)
	}
	for _, k := range x.kinds {
		check(k.Name, k.Name)
	}
	send(len(x.kinds), "key", "connectmedia")
	check("key", "connectmedia")
	for _, k := range x.kinds {
		if st := x.gateway.Gateway(k.Name).Stats(); st.Duplicates != 0 {
			t.Errorf("%s: got %d duplicates, want none", k.Name, st.Duplicates)
		}
	}
}

// The first campaign of an account has a sender ID that the gateway refuses for every recipient.
// The campaign must wait before 50 recipients are rejected, and no number may be put on a
// suppression list. After the repair, all recipients must get the message once.
func TestGateways_RefusedSenderOfAFirstCampaign(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		personal bool
		codes    map[string]string // by provider
	}{
		"one text for all": {false, map[string]string{
			"kobo": "error_restricted_senderid", "textconnect": "-518", "africastalking": "402", "qserve": "X000", "connectmedia": "105",
		}},
		"a text for each": {true, map[string]string{
			"kobo": "error_restricted_senderid", "textconnect": "-403", "africastalking": "406", "qserve": "X000", "connectmedia": "105",
		}},
		"all recipients blacklisted": {false, map[string]string{"textconnect": "-412", "africastalking": "406"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuseFirstCampaign(t, tc.personal, tc.codes)
		})
	}
}

// The map "codes" maps a provider to an error code. refuseFirstCampaign sends the first campaign of each of these
// providers, while the gateway refuses every call with the code.
func refuseFirstCampaign(t *testing.T, isPersonal bool, codes map[string]string) {
	const n = 500
	x := newAllGateways(t, simulator.Options{}, nil)
	x.start()
	at := map[string]int{}
	for i, k := range x.kinds {
		if codes[k.Name] == "" {
			continue
		}
		at[k.Name] = i
		if err := x.gateway.Fail(simulator.Fault{Name: "code_" + codes[k.Name], Gateway: k.Name, P: 1}); err != nil {
			t.Fatal(err)
		}
		body, to := text, numbers(i, n)
		if isPersonal {
			body, to = "Hi {{name}}", personal(i, n)
		}
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: body}, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		x.eventually(time.Minute, name+" to wait", func() bool {
			s := x.status(name)
			return len(s.BlockedBy) > 0 && s.InFlight.Calls == 0
		})
		s := x.status(name)
		t.Logf("%s %s: %d rejected, then %v", name, codes[name], s.Rejected, s.BlockedBy)
		if s.Rejected > 50 || s.Pending != n-s.Rejected {
			t.Errorf("%s: got %+v, want at most 50 rejected and the others pending", name, s)
		}
	}
	if lists, err := x.client.OptOutCounts(t.Context()); err != nil || len(lists) > 0 {
		t.Errorf("got suppression lists with %v entries and the error %v, want none", lists, err)
	}
	x.gateway.ClearFaults() // the repair
	for name, i := range at {
		x.sendAfterRepair(name, i, n)
	}
}

// sendAfterRepair resumes a campaign of n recipients, and retries the rejected recipients. All of them must get the
// message once.
func (x *allGateways) sendAfterRepair(name string, i, n int) {
	x.t.Helper()
	x.must("release", name)
	if s := x.status(name); slices.ContainsFunc(s.BlockedBy, func(b producer.Block) bool { return b.Reason == "paused" }) {
		x.must("resume", name)
	}
	s := x.wait(name, time.Minute)
	if s.Rejected > 0 {
		x.must("retry", name, "--rejected", "--yes")
		s = x.wait(name, time.Minute)
	}
	if s.Accepted != n {
		x.t.Errorf("%s: after the repair: %+v, want %d accepted", name, s, n)
	}
	if a := x.audit(i, n); a.accepted != n {
		x.t.Errorf("%s: got %+v, want %d accepted once", name, a, n)
	}
}

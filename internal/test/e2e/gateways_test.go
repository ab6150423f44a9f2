package e2e

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// perGateway is the number of recipients at each gateway.
const perGateway = 3000

// underFaults is small to keep CI short. If a call has only one number, many calls get a fault, and each fault may
// cause a hold.
var underFaults = flag.Int("faults.recipients", 1000, "recipients of each gateway while it breaks")

var outageFor = flag.Duration("outage.for", 15*time.Second, "how long the gateways are stopped")

func TestGateways_ThreeThousandThroughEach(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{}, nil)
	bad := []int{7, 1203, 1204, 2999}
	for i, k := range x.kinds {
		if gateway := x.gateway.Gateway(k.Name); gateway.ReplyScope(simulator.Reject) == simulator.ScopeNumber {
			for _, at := range bad {
				if err := gateway.SetReply(simulator.Reject, number(i, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	x.start()
	x.enqueueAll(perGateway)
	infos := catalog.Infos()
	for i, k := range x.kinds {
		s := x.wait(k.Name, 2*time.Minute)
		a := x.audit(i, perGateway)
		refused := 0
		if x.gateway.Gateway(k.Name).ReplyScope(simulator.Reject) == simulator.ScopeNumber {
			refused = len(bad)
		}
		if s.State != producer.Done || a.accepted != perGateway-refused || a.rejected != refused || a.unknown != 0 {
			t.Errorf("%s: got %+v, want state done, %d accepted, %d rejected and 0 unknown", k.Name, s, perGateway-refused, refused)
		}
		size := x.info(k.Name).MaxRecipients
		if want := infos[k.Name].MaxRecipients; size != want {
			t.Errorf("%s: got calls of %d recipients, want %d", k.Name, size, want)
		}
		calls := (perGateway + size - 1) / size
		if st := x.gateway.Gateway(k.Name).Stats(); s.Calls != calls || st.Calls != int64(calls) || st.Accepted != int64(perGateway-refused) {
			t.Errorf("%s: %d calls, %d at the gateway, want %d; %+v", k.Name, s.Calls, st.Calls, calls, st)
		}
		// A gateway returns message IDs either for all messages or for none.
		if len(a.ids) != a.accepted && k.MessageIDs || len(a.ids) != 0 && !k.MessageIDs {
			t.Errorf("%s: got %d distinct message IDs for %d accepted messages, want one ID for each message, or none if the gateway returns no IDs", k.Name, len(a.ids), a.accepted)
		}
		for _, r := range a.refused {
			if r.Reason == "" || r.Code == "" || !slices.Contains(bad, r.Row-1) {
				t.Errorf("%s: row %d is rejected with reason %q, code %q", k.Name, r.Row, r.Reason, r.Code)
			}
		}
	}
}

func TestGateways_FaultsLeaveOnlyUnknown(t *testing.T) {
	t.Parallel()
	// The calls are small, so that many of them get a fault.
	extra := map[string][]string{"": {"timeout: 2s", "reconcile_for: 6s"}}
	for _, k := range catalog.Kinds() {
		if _, err := k.Open(providers.Settings{Endpoint: providers.Endpoint{MaxRecipients: 20}}); err == nil || !strings.Contains(err.Error(), "max_recipients") {
			extra[k.Name] = []string{"max_recipients: 20"}
		}
	}
	x := newAllGateways(t, simulator.Options{Seed: 3}, extra)
	for _, name := range []string{"accept_close", "accept_502", "close", "429", "later"} {
		if err := x.gateway.Fail(simulator.Fault{Name: name, P: 0.05}); err != nil {
			t.Fatal(err)
		}
	}
	x.start()
	n := *underFaults
	x.enqueueAll(n)
	for i, k := range x.kinds {
		s := x.wait(k.Name, 4*time.Minute)
		a := x.audit(i, n)
		st := x.gateway.Gateway(k.Name).Stats()
		t.Logf("%s: %d accepted, %d unknown in %d calls; the gateway: %d accepted in %d calls, %d faults, %d of them ambiguous, %d duplicates",
			k.Name, a.accepted, a.unknown, len(a.unknownCalls), st.Accepted, st.Calls, st.Faults, st.Ambiguous, st.Duplicates)
		if s.State != producer.Done || a.accepted+a.unknown != n || st.Faults == 0 {
			t.Errorf("%s: got %+v, gateway %+v, want state done, %d accepted or unknown, and at least one fault", k.Name, s, st, n)
		}
		if x.info(k.Name).KeyTTL > 0 && a.unknown > 0 {
			t.Errorf("%s has idempotency keys, but %d recipients are unknown", k.Name, a.unknown)
		}
		if len(a.unknownCalls) > int(st.Ambiguous) {
			t.Errorf("%s: %d calls are unknown, but the gateway left only %d in doubt", k.Name, len(a.unknownCalls), st.Ambiguous)
		}
	}
}

// The gateway accepts a call and replies with a redirect. The redirect looks as if the gateway had not accepted the
// call. Tuma must not send to these recipients again.
func TestGateways_RedirectAfterAcceptingSendsNothingAgain(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{}, map[string][]string{"": {"reconcile_for: 3s"}})
	for _, k := range x.kinds {
		if err := x.gateway.Fail(simulator.Fault{Name: "accept_302", N: 1, Gateway: k.Name}); err != nil {
			t.Fatal(err)
		}
	}
	x.start()
	x.enqueueAll(20)
	for i, k := range x.kinds {
		x.eventually(time.Minute, k.Name+" to continue", func() bool {
			x.must("release", k.Name)
			return x.status(k.Name).State == producer.Done
		})
		if a, st := x.audit(i, 20), x.gateway.Gateway(k.Name).Stats(); a.accepted+a.unknown != 20 || len(a.unknownCalls) > int(st.Ambiguous) || st.Accepted != 20 {
			t.Errorf("%s: got %+v, gateway %+v, want 20 accepted, and at most as many unknown calls as faults that leave the outcome open", k.Name, a, st)
		}
	}
}

func TestGateways_BadNumberRejectsOnlyItself(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{}, nil)
	x.start()
	for i, k := range x.kinds {
		most := int64(1)
		switch gateway := x.gateway.Gateway(k.Name); {
		case gateway.ReplyScope(simulator.Reject) == simulator.ScopeNone || x.info(k.Name).MaxRecipients == 1:
			continue
		case gateway.ReplyScope(simulator.Reject) == simulator.ScopeCall:
			most = 25 // one bad number: Tuma divides the call into eight parts, up to three times
		}
		n := x.info(k.Name).MaxRecipients
		if err := x.gateway.Gateway(k.Name).SetReply(simulator.Reject, number(i, n/3)); err != nil {
			t.Fatal(err)
		}
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: text}, numbers(i, n)); err != nil {
			t.Fatal(err)
		}
		s := x.wait(k.Name, time.Minute)
		a := x.audit(i, n)
		st := x.gateway.Gateway(k.Name).Stats()
		t.Logf("%s: one bad number among %d cost %d calls", k.Name, n, st.Calls)
		if s.Accepted != n-1 || a.rejected != 1 || a.refused[0].Row != n/3+1 || st.Calls > most {
			t.Errorf("%s: %+v, %d calls", k.Name, s, st.Calls)
		}
	}
}

func TestGateways_StoppedGatewayFailsNothing(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{}, map[string][]string{"": {"timeout: 2s"}})
	x.start()
	if err := x.web.Close(); err != nil {
		t.Fatal(err)
	}
	x.enqueueAll(50)
	for _, k := range x.kinds {
		x.eventually(30*time.Second, "the hold of "+k.Name, func() bool {
			s := x.status(k.Name)
			return len(s.BlockedBy) > 0 && s.BlockedBy[0].Reason == "connection"
		})
	}
	over := time.After(*outageFor)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-over:
			waiting = false
		case <-tick.C:
			for _, k := range x.kinds {
				if s := x.status(k.Name); s.Pending != 50 {
					t.Fatalf("%s: a message lost a retry attempt: %+v", k.Name, s)
				}
			}
		}
	}
	x.serve(t, x.gateway)
	for i, k := range x.kinds {
		if s := x.wait(k.Name, 3*time.Minute); s.Accepted != 50 {
			t.Errorf("%s: got %+v; want Accepted 50", k.Name, s)
		}
		if a := x.audit(i, 50); a.accepted != 50 {
			t.Errorf("%s: %+v", k.Name, a)
		}
	}
}

// A gateway may refuse a call because of the login, the sender or missing credit. This answer is about the account
// or the campaign, so it must not count as an attempt of a recipient.

func TestGateways_RefusedLoginUsesUpNoAttempt(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{Users: map[string]string{"demo": "demo"}}, nil)
	x.start()
	x.gateway.SetPassword("demo", "other")
	for i, k := range x.kinds {
		x.enqueueAt(k.Name+":login", k.Name, i, 20)
	}
	for _, k := range x.kinds {
		x.waitForBlock(k.Name+":login", "credentials")
	}
	x.gateway.SetPassword("demo", "demo")
	for _, k := range x.kinds {
		x.must("release", k.Name)
		x.waitForAll(k.Name+":login", k.Name, 20)
	}
}

func TestGateways_MissingCreditUsesUpNoAttempt(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{Users: map[string]string{"demo": "demo"}}, nil)
	x.start()
	// Not every gateway documents a reply for missing credit.
	kinds := slices.DeleteFunc(slices.Clone(x.kinds), func(k providers.Kind) bool { return !x.gateway.Gateway(k.Name).CanReply("credit") })
	for i, k := range kinds {
		x.gateway.Gateway(k.Name).SetCredit(0)
		x.enqueueAt(k.Name+":credit", k.Name, i, 20)
	}
	for _, k := range kinds {
		x.waitForBlock(k.Name+":credit", "credit")
	}
	for _, k := range kinds {
		x.gateway.Gateway(k.Name).SetCredit(1000) // a top-up without a manual release
	}
	for _, k := range kinds {
		x.waitForAll(k.Name+":credit", k.Name, 20)
	}
}

func TestGateways_RefusedSenderUsesUpNoAttempt(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, simulator.Options{Users: map[string]string{"demo": "demo"}}, nil)
	x.start()
	if err := x.gateway.Fail(simulator.Fault{Name: "campaign", P: 1}); err != nil {
		t.Fatal(err)
	}
	kinds := slices.DeleteFunc(slices.Clone(x.kinds), func(k providers.Kind) bool { return !x.gateway.Gateway(k.Name).CanReply("campaign") })
	for i, k := range kinds {
		x.enqueueAt(k.Name+":sender", k.Name, i, 20)
	}
	for _, k := range kinds {
		x.waitForBlock(k.Name+":sender", "paused")
	}
	x.gateway.ClearFaults()
	for _, k := range kinds {
		x.must("resume", k.Name+":sender")
		x.waitForAll(k.Name+":sender", k.Name, 20)
	}
}

// waitForBlock waits until the given reason blocks a campaign and no call of the campaign is in flight. All
// recipients of the campaign must be pending.
func (x *allGateways) waitForBlock(id, reason string) {
	x.t.Helper()
	x.eventually(30*time.Second, id+" to be blocked by "+reason, func() bool {
		return slices.ContainsFunc(x.status(id).BlockedBy, func(b producer.Block) bool { return b.Reason == reason })
	})
	x.eventually(30*time.Second, "the calls in flight", func() bool { return x.status(id).InFlight.Calls == 0 })
	if s := x.status(id); s.Pending != s.Total {
		x.t.Errorf("%s: a message lost a retry attempt: %+v", id, s)
	}
}

// waitForAll waits until a campaign of n recipients has ended. The gateway must have accepted all of them
// and no other recipient.
func (x *allGateways) waitForAll(id, name string, n int) {
	x.t.Helper()
	if s := x.wait(id, time.Minute); s.Accepted != n {
		x.t.Errorf("%s: %+v", id, s)
	}
	if st := x.gateway.Gateway(name).Stats(); st.Accepted != int64(n) || st.Duplicates != 0 {
		x.t.Errorf("%s: gateway %+v, want %d accepted", id, st, n)
	}
}

package e2e

import (
	"flag"
	"fmt"
	"iter"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// perGateway is the number of recipients at each gateway.
const perGateway = 3000

// underFaults is small to keep CI short: with one number a call, many calls get a fault, and each may cause a hold.
var underFaults = flag.Int("faults.recipients", 1000, "recipients of each gateway while it breaks")

var outageFor = flag.Duration("outage.for", 15*time.Second, "how long the gateways are stopped")

// allGateways is a deployment with one account at every gateway of the catalog.
type allGateways struct {
	*deployment
	kinds   []providers.Kind
	address string
	web     *http.Server
}

// newAllGateways starts a sandbox and a deployment with an account at each gateway, named after its provider. extra
// are further lines of the accounts by provider; "" means every account.
func newAllGateways(t *testing.T, o sandbox.Options, extra map[string][]string) *allGateways {
	t.Helper()
	x := &allGateways{kinds: catalog.Kinds(), address: "127.0.0.1:0"}
	gateway := sandbox.New(o)
	x.serve(t, gateway)
	t.Cleanup(func() {
		gateway.Close()
		_ = x.web.Close()
	})
	var accounts strings.Builder
	for _, k := range x.kinds {
		fmt.Fprintf(&accounts, "  %[1]s:\n    provider: %[1]s\n    base_url: http://%[2]s/%[1]s\n    sender: ACME\n", k.Name, x.address)
		for _, field := range k.Login() {
			fmt.Fprintf(&accounts, "    %s: demo\n", field)
		}
		for _, line := range append(extra[""], extra[k.Name]...) {
			accounts.WriteString("    " + line + "\n")
		}
	}
	x.deployment = deploymentWith(t, gateway, accounts.String())
	return x
}

// start starts a worker process and returns when it serves every gateway.
func (x *allGateways) start() {
	x.t.Helper()
	x.spawn()
	x.eventually(20*time.Second, "a worker to serve every gateway", func() bool {
		accounts, err := x.client.Accounts(x.t.Context())
		return err == nil && len(accounts) == len(x.kinds) && !slices.ContainsFunc(accounts, func(a producer.Account) bool { return a.Workers == 0 })
	})
}

// serve serves a sandbox at the same address each time. The first call chooses the port.
func (x *allGateways) serve(t *testing.T, gateway *sandbox.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", x.address)
	if err != nil {
		t.Fatal(err)
	}
	x.address = listener.Addr().String()
	x.web = &http.Server{Handler: gateway, ReadHeaderTimeout: time.Minute}
	go func(web *http.Server) { _ = web.Serve(listener) }(x.web)
}

// numbers yields n numbers that only the i-th gateway gets.
func numbers(i, n int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for k := range n {
			if !yield(producer.Recipient{Number: fmt.Sprint(number(i, k))}, nil) {
				return
			}
		}
	}
}

func number(i, k int) uint64 { return uint64(254_710_000_000 + i*1_000_000 + k) }

// enqueueAll enqueues a campaign of n recipients at every gateway. The campaign's ID is the provider's name.
func (x *allGateways) enqueueAll(n int) {
	x.t.Helper()
	for i, k := range x.kinds {
		if _, err := x.client.Enqueue(x.t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: text}, numbers(i, n)); err != nil {
			x.t.Fatal(err)
		}
	}
}

// info returns the providers.Info of an account, as the workers have published it.
func (x *allGateways) info(name string) providers.Info {
	x.t.Helper()
	accounts, err := x.client.Accounts(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	i := slices.IndexFunc(accounts, func(a producer.Account) bool { return a.Name == name })
	if i < 0 {
		x.t.Fatalf("no account card of %s", name)
	}
	return accounts[i].Info
}

// audit has the counts of a campaign's results, which the method audit has compared with the gateway's own counts.
type audit struct {
	accepted, rejected, unknown int
	ids                         map[string]bool
	unknownCalls                map[string]bool
	refused                     []producer.Result
}

func (x *allGateways) audit(i, n int) audit {
	x.t.Helper()
	k := x.kinds[i]
	gateway := x.gateway.Gateway(k.Name)
	a := audit{ids: map[string]bool{}, unknownCalls: map[string]bool{}}
	rows := 0
	for r, err := range x.client.Results(x.t.Context(), k.Name) {
		if err != nil {
			x.t.Fatal(err)
		}
		got := gateway.Accepted(number(i, rows))
		if rows++; r.MSISDN != fmt.Sprint(number(i, rows-1)) {
			x.t.Fatalf("%s row %d has the number %s", k.Name, r.Row, r.MSISDN)
		}
		ok := false
		switch r.Status {
		case "accepted":
			a.accepted++
			ok = got == 1
			if r.MessageID != "" {
				a.ids[r.MessageID] = true
			}
		case "rejected":
			a.rejected++
			a.refused = append(a.refused, r)
			ok = got == 0
		case "unknown":
			a.unknown++
			a.unknownCalls[r.MessageUUID] = true
			ok = got <= 1
		}
		if !ok {
			x.t.Errorf("%s row %d is %s (%s %s), and the gateway accepted it %d times", k.Name, r.Row, r.Status, r.Reason, r.Code, got)
		}
	}
	if st := gateway.Stats(); rows != n || st.Duplicates != 0 || st.Conflicts != 0 {
		x.t.Errorf("%s: %d rows, gateway %+v", k.Name, rows, st)
	}
	return a
}

func TestThreeThousandThroughEachOfTheGatewaysAtOnce(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, sandbox.Options{}, nil)
	bad := []int{7, 1203, 1204, 2999}
	for i, k := range x.kinds {
		if gateway := x.gateway.Gateway(k.Name); gateway.ReplyScope(sandbox.Reject) == sandbox.ScopeNumber {
			for _, at := range bad {
				if err := gateway.SetReply(sandbox.Reject, number(i, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	x.start()
	x.enqueueAll(perGateway)
	sizes := map[string]int{"kobo": 500, "textconnect": 200, "africastalking": 200, "qserve": 100, "connectmedia": 1}
	for i, k := range x.kinds {
		s := x.wait(k.Name, 2*time.Minute)
		a := x.audit(i, perGateway)
		refused := 0
		if x.gateway.Gateway(k.Name).ReplyScope(sandbox.Reject) == sandbox.ScopeNumber {
			refused = len(bad)
		}
		if s.State != producer.Done || a.accepted != perGateway-refused || a.rejected != refused || a.unknown != 0 {
			t.Errorf("%s: got %+v", k.Name, s)
		}
		size := x.info(k.Name).MaxRecipients
		if want, said := sizes[k.Name]; said && size != want {
			t.Errorf("%s: got calls of %d recipients, want %d", k.Name, size, want)
		}
		calls := (perGateway + size - 1) / size
		if st := x.gateway.Gateway(k.Name).Stats(); s.Calls != calls || st.Calls != int64(calls) || st.Accepted != int64(perGateway-refused) {
			t.Errorf("%s: %d calls, %d at the gateway, want %d; %+v", k.Name, s.Calls, st.Calls, calls, st)
		}
		// A gateway returns message IDs for all messages or for none. Two of the five return none.
		if without := k.Name == "qserve" || k.Name == "connectmedia"; len(a.ids) != a.accepted && len(a.ids) != 0 || without != (len(a.ids) == 0) && sizes[k.Name] > 0 {
			t.Errorf("%s: got %d distinct message IDs for %d accepted messages", k.Name, len(a.ids), a.accepted)
		}
		for _, r := range a.refused {
			if r.Reason == "" || r.Code == "" || !slices.Contains(bad, r.Row-1) {
				t.Errorf("%s: row %d is rejected with reason %q, code %q", k.Name, r.Row, r.Reason, r.Code)
			}
		}
	}
}

func TestFaultsAtEveryGatewayCostNothingButWhatNobodyCanKnow(t *testing.T) {
	t.Parallel()
	// The calls are small, so that many of them get a fault.
	extra := map[string][]string{"": {"timeout: 2s", "reconcile_for: 6s"}}
	for _, k := range catalog.Kinds() {
		if _, err := k.Open(providers.Settings{Endpoint: providers.Endpoint{MaxRecipients: 20}}); err == nil || !strings.Contains(err.Error(), "max_recipients") {
			extra[k.Name] = []string{"max_recipients: 20"}
		}
	}
	x := newAllGateways(t, sandbox.Options{Seed: 3}, extra)
	for _, name := range []string{"accept_close", "accept_502", "close", "429", "later"} {
		if err := x.gateway.Fail(sandbox.Fault{Name: name, P: 0.05}); err != nil {
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
			t.Errorf("%s: got %+v, gateway %+v", k.Name, s, st)
		}
		if x.info(k.Name).KeyTTL > 0 && a.unknown > 0 {
			t.Errorf("%s has idempotency keys, but %d recipients are unknown", k.Name, a.unknown)
		}
		if len(a.unknownCalls) > int(st.Ambiguous) {
			t.Errorf("%s: %d calls are unknown, but the gateway left only %d in doubt", k.Name, len(a.unknownCalls), st.Ambiguous)
		}
	}
}

// The gateway accepts a call and replies with a redirect, which suggests that it has not accepted it. Tuma must not send
// the recipients again.
func TestARedirectAfterAcceptingSendsNothingAgain(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, sandbox.Options{}, map[string][]string{"": {"reconcile_for: 3s"}})
	for _, k := range x.kinds {
		if err := x.gateway.Fail(sandbox.Fault{Name: "accept_302", N: 1, Gateway: k.Name}); err != nil {
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
			t.Errorf("%s: got %+v, gateway %+v", k.Name, a, st)
		}
	}
}

func TestABadNumberCostsItselfAlone(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, sandbox.Options{}, nil)
	x.start()
	for i, k := range x.kinds {
		most := int64(1)
		switch gateway := x.gateway.Gateway(k.Name); {
		case gateway.ReplyScope(sandbox.Reject) == sandbox.ScopeNone || x.info(k.Name).MaxRecipients == 1:
			continue
		case gateway.ReplyScope(sandbox.Reject) == sandbox.ScopeCall:
			most = 19
		}
		n := x.info(k.Name).MaxRecipients
		if err := x.gateway.Gateway(k.Name).SetReply(sandbox.Reject, number(i, n/3)); err != nil {
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

func TestAStoppedGatewayFailsNothing(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, sandbox.Options{}, map[string][]string{"": {"timeout: 2s"}})
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

func TestWhatAGatewaySaysOfTheAccountOrTheSenderUsesNobodyUp(t *testing.T) {
	t.Parallel()
	x := newAllGateways(t, sandbox.Options{Users: map[string]string{"demo": "demo"}}, nil)
	x.start()
	accepted := map[string]int64{}
	blocked := func(id, reason string) {
		t.Helper()
		x.eventually(30*time.Second, id+" to be blocked by "+reason, func() bool {
			return slices.ContainsFunc(x.status(id).BlockedBy, func(b producer.Block) bool { return b.Reason == reason })
		})
		x.eventually(30*time.Second, "the calls in flight", func() bool { return x.status(id).InFlight.Calls == 0 })
		if s := x.status(id); s.Pending != s.Total {
			t.Errorf("%s: a message lost a retry attempt: %+v", id, s)
		}
	}
	through := func(id, name string, n int) {
		t.Helper()
		if s := x.wait(id, time.Minute); s.Accepted != n {
			t.Errorf("%s: %+v", id, s)
		}
		accepted[name] += int64(n)
		if st := x.gateway.Gateway(name).Stats(); st.Accepted != accepted[name] || st.Duplicates != 0 {
			t.Errorf("%s: gateway %+v, want %d accepted", id, st, accepted[name])
		}
	}
	enqueue := func(id, name string, i, from, n int) {
		t.Helper()
		list := func(yield func(producer.Recipient, error) bool) {
			for k := range n {
				if !yield(producer.Recipient{Number: fmt.Sprint(number(i, from+k))}, nil) {
					return
				}
			}
		}
		if _, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: id, Via: name, Body: text}, list); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("login", func(t *testing.T) {
		x.gateway.SetPassword("demo", "other")
		for i, k := range x.kinds {
			enqueue(k.Name+":login", k.Name, i, 0, 20)
		}
		for _, k := range x.kinds {
			blocked(k.Name+":login", "credentials")
		}
		x.gateway.SetPassword("demo", "demo")
		for _, k := range x.kinds {
			x.must("release", k.Name)
			through(k.Name+":login", k.Name, 20)
		}
	})
	t.Run("credit", func(t *testing.T) {
		// Not every gateway documents a reply for missing credit.
		kinds := slices.DeleteFunc(slices.Clone(x.kinds), func(k providers.Kind) bool { return !x.gateway.Gateway(k.Name).CanReply("credit") })
		for i, k := range kinds {
			x.gateway.Gateway(k.Name).SetCredit(0)
			enqueue(k.Name+":credit", k.Name, 5+i, 0, 20)
		}
		for _, k := range kinds {
			blocked(k.Name+":credit", "credit")
		}
		for _, k := range kinds {
			x.gateway.Gateway(k.Name).SetCredit(1000) // a top-up, without a release by hand
		}
		for _, k := range kinds {
			through(k.Name+":credit", k.Name, 20)
		}
	})
	t.Run("sender", func(t *testing.T) {
		if err := x.gateway.Fail(sandbox.Fault{Name: "campaign", P: 1}); err != nil {
			t.Fatal(err)
		}
		kinds := slices.DeleteFunc(slices.Clone(x.kinds), func(k providers.Kind) bool { return !x.gateway.Gateway(k.Name).CanReply("campaign") })
		for i, k := range kinds {
			enqueue(k.Name+":sender", k.Name, 10+i, 0, 20)
		}
		for _, k := range kinds {
			blocked(k.Name+":sender", "paused")
		}
		x.gateway.ClearFaults()
		for _, k := range kinds {
			x.must("resume", k.Name+":sender")
			through(k.Name+":sender", k.Name, 20)
		}
	})
}

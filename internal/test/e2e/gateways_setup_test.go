package e2e

import (
	"fmt"
	"iter"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// allGateways is a deployment with one account at every gateway of the catalog.
type allGateways struct {
	*deployment
	kinds   []providers.Kind
	address string
	web     *http.Server
}

// newAllGateways starts a sandbox, and a deployment with one account at each gateway. An account
// has the name of its provider. The map "extra" has further lines of tuma.yaml for the account at a
// provider. The lines under the key "" are for every account.
func newAllGateways(t *testing.T, o simulator.Options, extra map[string][]string) *allGateways {
	t.Helper()
	x := &allGateways{kinds: catalog.Kinds(), address: "127.0.0.1:0"}
	gateway := catalog.Simulate(o)
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

// The method "start" starts a worker process and returns when it serves every gateway.
func (x *allGateways) start() {
	x.t.Helper()
	x.spawn()
	x.eventually(20*time.Second, "a worker to serve every gateway", func() bool {
		accounts, err := x.client.Accounts(x.t.Context())
		return err == nil && len(accounts) == len(x.kinds) && !slices.ContainsFunc(accounts, func(a producer.Account) bool { return a.Workers == 0 })
	})
}

// The method "serve" serves a sandbox. The first call chooses the port, and each later call uses the same
// address.
func (x *allGateways) serve(t *testing.T, gateway *simulator.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", x.address)
	if err != nil {
		t.Fatal(err)
	}
	x.address = listener.Addr().String()
	x.web = &http.Server{Handler: gateway, ReadHeaderTimeout: time.Minute}
	go func(web *http.Server) { _ = web.Serve(listener) }(x.web)
}

// The function "numbers" yields n numbers that only the i-th gateway gets.
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
		x.enqueueAt(k.Name, k.Name, i, n)
	}
}

// enqueueAt enqueues a campaign of n recipients at one gateway. The recipients have the numbers of the i-th
// gateway.
func (x *allGateways) enqueueAt(id, name string, i, n int) {
	x.t.Helper()
	if _, err := x.client.Enqueue(x.t.Context(), producer.Campaign{ID: id, Via: name, Body: text}, numbers(i, n)); err != nil {
		x.t.Fatal(err)
	}
}

// The method "info" returns the providers.Info of an account, as the workers have published it.
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

// audit has the counts of a campaign's results. The method allGateways.audit fills it in, and
// compares each result with the gateway's own counts.
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

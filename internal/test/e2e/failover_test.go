package e2e

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// failoverPair is a deployment with two accounts at two gateways, each with a separate server. Kenyan numbers go
// through the first account. Once this account has been held for two seconds, they go through the second
// account.
type failoverPair struct {
	*deployment
	names [2]string
	webs  [2]*httptest.Server
}

// loginOf returns the lines of tuma.yaml with the login of an account at a gateway.
func loginOf(t *testing.T, gateway string) string {
	t.Helper()
	kind, ok := catalog.Lookup(gateway)
	if !ok {
		t.Fatalf("the catalog has no gateway %q", gateway)
	}
	lines := ""
	for _, field := range kind.Login() {
		lines += "    " + field + ": demo\n"
	}
	return lines
}

func newFailoverPair(t *testing.T, first, second string, extra string) *failoverPair {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{})
	x := &failoverPair{names: [2]string{first, second}}
	accounts := ""
	for i, name := range x.names {
		x.webs[i] = httptest.NewServer(gateway)
		accounts += fmt.Sprintf("  %[1]s:\n    provider: %[1]s\n    base_url: %[2]s/%[1]s\n    sender: FROM%[3]d\n    timeout: 2s\n%[4]s",
			name, x.webs[i].URL, i, loginOf(t, name))
		if i == 0 {
			accounts += extra
		}
	}
	t.Cleanup(func() {
		gateway.Close()
		for _, web := range x.webs {
			web.Close()
		}
	})
	accounts += fmt.Sprintf("routes:\n  - {match: \"254\", via: [%s, %s]}\nfailover_after: 2s\n", first, second)
	x.deployment = deploymentWith(t, gateway, accounts)
	return x
}

func (x *failoverPair) enqueue(id string, n int) {
	x.t.Helper()
	if _, err := x.client.Enqueue(x.t.Context(), producer.Campaign{ID: id, Body: text}, numbers(0, n)); err != nil {
		x.t.Fatal(err)
	}
}

// The method "audit" counts the results by account and status, and compares each result with the counts of both
// gateways.
func (x *failoverPair) audit(id string, n int) map[string]int {
	x.t.Helper()
	out := map[string]int{}
	rows := 0
	for r, err := range x.client.Results(x.t.Context(), id) {
		if err != nil {
			x.t.Fatal(err)
		}
		var took [2]int
		for i, name := range x.names {
			took[i] = x.gateway.Gateway(name).Accepted(number(0, rows))
		}
		rows++
		out[r.Account+" "+r.Status]++
		all := took[0] + took[1]
		ok := r.Status == "accepted" && all == 1 && (took[0] == 1) == (r.Account == x.names[0]) || r.Status == "unknown" && took[1] == 0 && all <= 1 ||
			r.Status == "pending" && all <= 1
		if !ok {
			x.t.Errorf("row %d is %s at %s (%s %s), and the gateways accepted it %v times", r.Row, r.Status, r.Account, r.Reason, r.Code, took)
		}
	}
	if rows != n {
		x.t.Errorf("got %d rows, want %d", rows, n)
	}
	return out
}

func TestFailover_UnreachableGatewayLosesItsWork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		first, second string
		n             int
	}{
		{"kobo", "qserve", 5000},
		{"kobo", "connectmedia", 600},
		{"connectmedia", "kobo", 3000},
	}
	for _, tt := range tests {
		t.Run(tt.first+" to "+tt.second, func(t *testing.T) {
			t.Parallel()
			x := newFailoverPair(t, tt.first, tt.second, "")
			x.webs[0].Close()
			x.start()
			x.start()
			x.enqueue("c", tt.n)
			s := x.wait("c", 2*time.Minute)
			t.Logf("%d calls; %+v", s.Calls, s.ByAccount)
			if s.State != producer.Done || s.Accepted != tt.n {
				t.Errorf("got status %+v, want state done and %d accepted", s, tt.n)
			}
			if got := x.audit("c", tt.n); got[tt.second+" accepted"] != tt.n {
				t.Errorf("got %v, want %d accepted at %s", got, tt.n, tt.second)
			}
		})
	}
}

func TestFailover_DoubtfulCallsNeverMove(t *testing.T) {
	t.Parallel()
	const n = 4000
	for first, second := range map[string]string{"kobo": "qserve", "qserve": "kobo"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			x := newFailoverPair(t, first, second, "    max_recipients: 50\n    concurrency: 4\n")
			if err := x.gateway.Fail(simulator.Fault{Name: "accept_close", P: 1, Gateway: first}); err != nil {
				t.Fatal(err)
			}
			x.start()
			x.enqueue("c", n)
			x.eventually(time.Minute, "the rest to go through the second", func() bool {
				s := x.status("c")
				return s.Accepted > 0 && s.Accepted == n-doubtful(s, first)
			})
			s := x.status("c")
			t.Logf("%+v", s.ByAccount)
			if d := doubtful(s, first); d == 0 || d > 20*50 {
				t.Errorf("%d recipients are in doubt at %s, want 1 to 1,000", d, first)
			}
			x.audit("c", n)
			x.gateway.ClearFaults()
			x.must("release", first)
			s = x.wait("c", time.Minute)
			if got := x.audit("c", n); first == "kobo" && (s.Accepted != n || s.Unknown != 0) || first != "kobo" && (s.Accepted+s.Unknown != n || s.Unknown == 0) {
				t.Errorf("got %v, status %+v, want %d accepted, or with a first gateway without keys some of them unknown", got, s, n)
			}
		})
	}
}

// The function "doubtful" returns how many recipients are pending or unknown at an account.
func doubtful(s producer.Status, account string) int {
	for _, c := range s.ByAccount {
		if c.Account == account {
			return c.Pending + c.Unknown
		}
	}
	return 0
}

package simulator_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/providers/qserve/qservesim"
)

// vendors are the simulators that the tests of the server use.
var vendors = map[string]simulator.NewVendor{"kobo": kobosim.New, "qserve": qservesim.New}

// The function "start" starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, vendors)
}

// The function "call" returns a valid send request to KoboMobile whose idempotency key depends on n.
func call(n int, to ...string) url.Values {
	return url.Values{
		"user": {"demo"}, "pass": {"demopass"}, "from": {"Testing"}, "to": {strings.Join(to, ",")}, "msg": {"Hello"},
		"type": {"0"}, "enable_msg_id": {"1"}, "message_uuid": {fmt.Sprintf("58c0d0f9-7dc6-4ce0-91ae-%012d", n)},
	}
}

const (
	ada = "2348030000000"
	obi = "2348030000011"
)

func TestServeHTTP_OtherPathsAndMethodsAreRefused(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	if status, _ := simulatortest.Post(t, address+"/api/send", call(1, ada)); status != http.StatusNotFound {
		t.Errorf("got status %d, want 404", status)
	}
	resp, err := http.Get(address + "/api/send/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got status %d, want 405", resp.StatusCode)
	}
	if st := s.Stats(); st.Requests != 2 || st.Calls != 0 {
		t.Errorf("got stats %+v; want Requests 2, Calls 0", st)
	}
}

// The latency must also delay refused requests and answers with a balance.
func TestLatency_DelaysEveryAnswer(t *testing.T) {
	t.Parallel()
	const latency = 50 * time.Millisecond
	s, address := start(t, simulator.Options{Latency: latency})
	if err := s.Gateway("kobo").SetReply(simulator.Reject, 2348030000011); err != nil {
		t.Fatal(err)
	}
	balance := url.Values{"user": {"demo"}, "pass": {"demopass"}}
	for name, tt := range map[string]struct {
		path string
		form url.Values
	}{
		"accepted":        {"/kobo/api/send/", call(1, ada)},
		"a number":        {"/kobo/api/send/", call(2, obi)},
		"a wrong request": {"/kobo/api/send/", url.Values{}},
		"a balance":       {"/kobo/api/credit/", balance},
	} {
		begun := time.Now()
		status, body := simulatortest.Post(t, address+tt.path, tt.form)
		if took := time.Since(begun); took < latency || status == http.StatusNotFound {
			t.Errorf("%s: got status %d and %q after %s; want an answer after at least %s", name, status, body, took, latency)
		}
	}
}

func TestFault_EachKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		body   string // the start of the reply
		taken  int64
	}{
		{"close", 0, "", 0},
		{"accept_close", 0, "", 1},
		{"cut", 0, "234803", 1},
		{"html", 200, "<!DOCTYPE html>", 0},
		{"accept_html", 200, "<!DOCTYPE html>", 1},
		{"500", 500, "Internal", 0},
		{"accept_502", 502, "Bad Gateway", 1},
		{"429", 429, "Too Many", 0},
		{"404", 404, "Not Found", 0},
		{"error_gw", 200, "error_gw", 0},
		{"accept_error_gw", 200, "error_gw", 1},
		{"error_billing", 200, "error_billing", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, address := start(t, simulator.Options{})
			s.FailNext(2, tc.name)
			for range 2 {
				status, body := simulatortest.Post(t, address+"/api/send/", call(1, ada))
				if status != tc.status || !strings.HasPrefix(body, tc.body) {
					t.Errorf("got reply %d %q, want %d %q", status, body, tc.status, tc.body)
				}
			}
			if st := s.Stats(); st.Accepted != tc.taken || st.Faults != 2 || st.Calls != 2 {
				t.Errorf("got stats %+v; want Accepted %d, Faults 2, Calls 2", st, tc.taken)
			}
			if status, body := simulatortest.Post(t, address+"/api/send/", call(1, ada)); status != 200 || !strings.HasPrefix(body, ada+",") {
				t.Errorf("after the fault: got %d %q, want 200 and a message ID", status, body)
			}
			if st := s.Stats(); st.Accepted != 1 || st.Duplicates != 0 || st.Conflicts != 0 {
				t.Errorf("after the fault: got stats %+v; want Accepted 1, Duplicates 0, Conflicts 0", st)
			}
		})
	}
}

func TestClose_EndsHangingCalls(t *testing.T) {
	t.Parallel()
	for fault, taken := range map[string]int64{"hang": 0, "accept_hang": 1} {
		s := simulator.New(simulator.Options{}, vendors)
		s.FailNext(1, fault)
		arrived := make(chan struct{})
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			s.ServeHTTP(w, r)
		}))
		done := make(chan int)
		go func() {
			status, _ := simulatortest.Post(t, web.URL+"/api/send/", call(1, ada))
			done <- status
		}()
		<-arrived
		s.Close()
		if status := <-done; status != 0 {
			t.Errorf("%s: got status %d, want 0", fault, status)
		}
		web.Close()
		if st := s.Stats(); st.Accepted != taken {
			t.Errorf("%s: got stats %+v, want Accepted %d", fault, st, taken)
		}
	}
}

func TestFault_RandomFaultsFollowTheSeed(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64) string {
		s, address := start(t, simulator.Options{Seed: seed})
		if err := errors.Join(s.Fail(simulator.Fault{Name: "500", P: 0.3}), s.Fail(simulator.Fault{Name: "accept_502", P: 0.3})); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for n := range 60 {
			status, _ := simulatortest.Post(t, address+"/api/send/", call(n, ada))
			fmt.Fprint(&b, status, " ")
		}
		if err := errors.Join(s.Fail(simulator.Fault{Name: "500"}), s.Fail(simulator.Fault{Name: "accept_502", P: 0})); err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			if status, _ := simulatortest.Post(t, address+"/api/send/", call(n, ada)); status != 200 {
				t.Errorf("a fault was injected after it had been removed: got status %d, want 200", status)
			}
		}
		return b.String()
	}
	one := pattern(1)
	for _, status := range []string{"200", "500", "502"} {
		if !strings.Contains(one, status) {
			t.Errorf("got statuses %s, want %s among them", one, status)
		}
	}
	if pattern(1) != one || pattern(2) == one {
		t.Error("the faults must be the same for the same seed, and different for another seed")
	}
}

func TestFault_OtherEndpointsOnlyWithEverything(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	login := url.Values{"user": {"u"}, "pass": {"p"}}
	if err := s.Fail(simulator.Fault{Name: "500", P: 1}); err != nil {
		t.Fatal(err)
	}
	if status, _ := simulatortest.Post(t, address+"/api/credit/", login); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
	if err := errors.Join(s.Fail(simulator.Fault{Name: "429", N: 1}), s.Fail(simulator.Fault{Name: "503", N: 1, Everything: true})); err != nil {
		t.Fatal(err)
	}
	if status, _ := simulatortest.Post(t, address+"/api/credit/", login); status != 503 {
		t.Errorf("got status %d, want 503", status)
	}
	if status, _ := simulatortest.Post(t, address+"/api/send/", call(1, ada)); status != 429 {
		t.Errorf("got status %d, want 429", status)
	}
	s.ClearFaults()
	if status, _ := simulatortest.Post(t, address+"/api/send/", call(1, ada)); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
}

func TestFault_UnknownNamesAreRefused(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{}, vendors)
	for _, f := range []simulator.Fault{{Name: "", N: 1}, {Name: "nonsense", N: 1}, {Name: "200", N: 1}, {Name: "600", N: 1}, {Name: "500", N: -1}, {Name: "500", P: 1.5}, {Name: "500", P: 0.5, N: 1}} {
		if err := s.Fail(f); err == nil {
			t.Errorf("Fail(%+v): got no error, want one", f)
		}
	}
}

func TestOptions_NoCountKeepsNoNumbers(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{NoCount: true})
	simulatortest.Post(t, address+"/api/send/", call(1, ada))
	simulatortest.Post(t, address+"/api/send/", call(2, ada))
	if st := s.Stats(); st.Accepted != 2 || st.Duplicates != 0 || st.Numbers != 0 || s.Accepted(2348030000000) != 0 {
		t.Errorf("got stats %+v and %d messages to the number; want Accepted 2, Duplicates 0, Numbers 0, and 0 messages", st, s.Accepted(2348030000000))
	}
}

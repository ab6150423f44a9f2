package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
)

// The function "control" posts a form with the given names and values to a control path of the
// simulator.
func control(t *testing.T, address, name string, pairs ...string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	if status, body := simulatortest.Post(t, address+"/_sandbox/"+name, form); status != http.StatusNoContent {
		t.Fatalf("%s %v: got status %d %s, want 204", name, form, status, body)
	}
}

// checkTooManyRequests sends a call and expects the status 429 with a Retry-After.
func checkTooManyRequests(t *testing.T, address, retryAfter string) {
	t.Helper()
	resp, err := http.PostForm(address+"/api/send/", call(1, ada, obi))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != retryAfter {
		t.Errorf("got status %d, Retry-After %q; want 429, %q", resp.StatusCode, resp.Header.Get("Retry-After"), retryAfter)
	}
}

func TestControl_OverHTTP(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
	control := func(name string, pairs ...string) { t.Helper(); control(t, address, name, pairs...) }
	send := func(n int) (int, string) { return simulatortest.Post(t, address+"/api/send/", call(n, ada, obi)) }

	control("faults", "fault", "429", "n", "1", "retry_after", "7")
	checkTooManyRequests(t, address, "7")
	control("faults", "fault", "500", "p", "1")
	if status, _ := send(1); status != 500 {
		t.Errorf("got status %d, want 500", status)
	}
	control("faults", "clear", "1")
	if status, _ := send(1); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
	control("credit", "credit", "1")
	if _, body := send(2); body != "error_credit" {
		t.Errorf("got reply %q, want \"error_credit\"", body)
	}
	control("password", "user", "demo", "pass", "new")
	if _, body := send(3); body != "error_user" {
		t.Errorf("got reply %q, want \"error_user\"", body)
	}
	control("password", "user", "demo", "pass", "demopass")
	control("credit", "credit", "100")
	control("options", "invalid", obi, "invalid_word", "error_number", "latency", "1ms", "repeat", "error_msgid", "report", "ENROUTE")
	if _, body := send(4); body != "error_number" {
		t.Errorf("got reply %q, want \"error_number\"", body)
	}
	if _, body := send(1); body != "error_msgid" {
		t.Errorf("got reply %q, want \"error_msgid\"", body)
	}
	if d := s.Latency(); d != time.Millisecond {
		t.Errorf("got latency %v, want 1ms", d)
	}
	simulatortest.Post(t, address+"/api/send/", call(5, ada))

	var st simulator.Stats
	if err := json.Unmarshal([]byte(simulatortest.Get(t, address+"/_sandbox/stats")), &st); err != nil {
		t.Fatal(err)
	}
	want := simulator.Stats{
		Requests: 8, Calls: 8, AcceptedCalls: 2, Accepted: 3, Numbers: 2, Duplicates: 1, Replays: 1,
		Rejected: 4, Faults: 2, Ambiguous: 1, PeakInFlight: 1, Credit: 99,
	}
	if st != want {
		t.Errorf("got %+v\nwant %+v", st, want)
	}
	if got := simulatortest.Get(t, address+"/_sandbox/accepted"); got != ada+" 2\n"+obi+" 1\n" {
		t.Errorf("got accepted messages\n%s\nwant 2 to one number and 1 to the other", got)
	}
	control("reset")
	if st := s.Stats(); st != (simulator.Stats{Credit: 1e9}) {
		t.Errorf("after a reset: got stats %+v; want zero counts and a credit of 1e9", st)
	}
	if status, body := send(1); status != 200 || len(body) < 50 {
		t.Errorf("after a reset: got status %d and reply %q, want 200 and two numbers with IDs", status, body)
	}
}

func TestControl_InvalidRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for _, tc := range []struct {
		name   string
		form   url.Values
		status int
	}{
		{"faults", url.Values{"fault": {"nonsense"}, "n": {"1"}}, 400},
		{"faults", url.Values{"fault": {"500"}, "n": {"x"}}, 400},
		{"faults", url.Values{"fault": {"500"}, "p": {"x"}}, 400},
		{"faults", url.Values{"fault": {"500"}, "n": {"1"}, "retry_after": {"x"}}, 400},
		{"credit", url.Values{"credit": {"much"}}, 400},
		{"options", url.Values{"latency": {"long"}}, 400},
		{"options", url.Values{"repeat": {"maybe"}}, 400},
		{"options", url.Values{"invalid": {"x"}}, 400},
		{"options", url.Values{"colour": {"blue"}}, 400},
		{"stats", nil, 404},
		{"nothing", nil, 404},
	} {
		if status, _ := simulatortest.Post(t, address+"/_sandbox/"+tc.name, tc.form); status != tc.status {
			t.Errorf("%s %v: got status %d, want %d", tc.name, tc.form, status, tc.status)
		}
	}
	if st := s.Stats(); st.Requests != 0 {
		t.Errorf("control requests are counted: %+v; want Requests 0", st)
	}
}

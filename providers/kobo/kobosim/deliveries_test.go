package kobosim_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
)

// setOptions sets options of the sandbox through the sandbox's control address.
func setOptions(t *testing.T, address string, options url.Values) {
	t.Helper()
	if status, body := simulatortest.Post(t, address+"/_sandbox/options", options); status != http.StatusNoContent {
		t.Fatalf("set %v: got status %d and %q, want 204", options, status, body)
	}
}

// TestReport_EachMessageHasItsState reads the states with the provider, so the provider must
// understand each failure.
func TestReport_EachMessageHasItsState(t *testing.T) {
	t.Parallel()
	_, address := start(t, simulator.Options{Seed: 5})
	p, err := kobo.New(kobo.Config{Endpoint: providers.Endpoint{BaseURL: address, AllowHTTP: true}, User: "demo", Pass: "demopass"})
	if err != nil {
		t.Fatal(err)
	}
	var to []string
	for i := range 200 {
		to = append(to, strconv.Itoa(2348030000000+i))
	}
	_, body := simulatortest.Post(t, address+"/api/send/", call(1, to...))
	entries := strings.Split(body, "~")
	if len(entries) != len(to) {
		t.Fatalf("got %d entries, want %d", len(entries), len(to))
	}
	count := func() (delivered, failed, open int, states map[string]int) {
		states = map[string]int{}
		for _, e := range entries {
			_, id, _ := strings.Cut(e, ",")
			var s providers.MessageStatus
			if s, err = p.MessageStatus(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			states[s.State]++
			switch {
			case s.Delivered:
				delivered++
			case s.Final:
				failed++
			default:
				open++
			}
		}
		return delivered, failed, open, states
	}
	if delivered, _, _, states := count(); delivered != len(to) {
		t.Errorf("without options: got %v, want every message delivered", states)
	}
	setOptions(t, address, url.Values{"report_fail": {"0.3"}, "report_lost": {"0.1"}})
	if delivered, failed, open, states := count(); delivered < 96 || delivered > 156 || failed < 30 || failed > 80 || open < 6 || open > 40 || len(states) != 6 {
		t.Errorf("got %v, want about 126 delivered, 54 that failed for four reasons, and 20 without a final state", states)
	}
	setOptions(t, address, url.Values{"report_delay": {"1000h"}})
	if _, _, open, states := count(); open < len(to)-1 {
		t.Errorf("with a delay of weeks: got %v, want no final state", states)
	}
}

package simulator_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
)

// keyed returns a call to KoboMobile. Its idempotency key is the n-th key of a campaign. The keys of a campaign begin
// with the same 48 bits. The keys of campaign 0 do not show their campaign.
func keyed(campaign, n int, text string, to ...string) url.Values {
	key := fmt.Sprintf("%08x-0000-8000-8000-%012d", campaign, n)
	if campaign == 0 {
		key = fmt.Sprintf("%08x-0000-4000-8000-%012d", n, n)
	}
	return simulatortest.With(simulatortest.With(call(1, to...), "message_uuid", key), "msg", text)
}

func TestDuplicates_AreCountedPerCampaignAndText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		calls      []url.Values
		accepted   int64
		duplicates int64
	}{
		{"one key twice is a replay", []url.Values{keyed(1, 1, "Hi", ada), keyed(1, 1, "Hi", ada)}, 1, 0},
		{"a second key of the campaign", []url.Values{keyed(1, 1, "Hi", ada, obi), keyed(1, 2, "Hi", ada)}, 3, 1},
		{"a third time", []url.Values{keyed(1, 1, "Hi", ada), keyed(1, 2, "Hi", ada), keyed(1, 3, "Hi", ada)}, 3, 2},
		{"a number twice in one call", []url.Values{keyed(1, 1, "Hi", ada, ada)}, 2, 1},
		{"another text in the campaign", []url.Values{keyed(1, 1, "Pay 5", ada), keyed(1, 2, "Pay 9", ada)}, 2, 0},
		{"another campaign with another text", []url.Values{keyed(1, 1, "Hi", ada), keyed(2, 1, "Bye", ada)}, 2, 0},
		{"another campaign with the same text", []url.Values{keyed(1, 1, "Hi", ada), keyed(2, 1, "Hi", ada)}, 2, 0},
		{"twice in each of two campaigns", []url.Values{keyed(1, 1, "Hi", ada), keyed(2, 1, "Hi", ada), keyed(2, 2, "Hi", ada), keyed(1, 2, "Hi", ada)}, 4, 2},
		{"keys that show no campaign, the same text", []url.Values{keyed(0, 1, "Hi", ada), keyed(0, 2, "Hi", ada)}, 2, 1},
		{"keys that show no campaign, another text", []url.Values{keyed(0, 1, "Hi", ada), keyed(0, 2, "Bye", ada)}, 2, 0},
		{"first with a campaign, then without", []url.Values{keyed(1, 1, "Hi", ada), keyed(0, 2, "Hi", ada), keyed(2, 1, "Hi", ada)}, 3, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, address := start(t, simulator.Options{})
			for _, form := range tc.calls {
				if _, body := simulatortest.Post(t, address+"/api/send/", form); len(body) < 30 {
					t.Fatalf("got reply %q, want message IDs", body)
				}
			}
			for name, got := range map[string]simulator.Stats{"all gateways": s.Stats(), "kobo": s.Gateway("kobo").Stats()} {
				if got.Accepted != tc.accepted || got.Duplicates != tc.duplicates {
					t.Errorf("%s: got %d accepted, %d duplicates; want %d, %d", name, got.Accepted, got.Duplicates, tc.accepted, tc.duplicates)
				}
			}
		})
	}
}

func TestDuplicates_AtTwoGateways(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	simulatortest.Post(t, address+"/api/send/", keyed(1, 1, "Hi", ada))
	resp, err := http.Post(address+"/version1/sendsms", "application/json",
		strings.NewReader(`{"username":"demo","api_key":"key","sender_id":"ACME","phone":"`+ada+`","message":"Hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if all, kobo, qserve := s.Stats(), s.Gateway("kobo").Stats(), s.Gateway("qserve").Stats(); all.Duplicates != 1 || kobo.Duplicates != 0 || qserve.Duplicates != 0 || all.Accepted != 2 {
		t.Errorf("got %d accepted, %d duplicates in all, %d at kobo, %d at qserve; want 2, 1, 0, 0", all.Accepted, all.Duplicates, kobo.Duplicates, qserve.Duplicates)
	}
}

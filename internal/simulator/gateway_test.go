package simulator_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
)

const eve = "2348030000022"

func TestGateway_HasItsOwnCounts(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	d := s.Gateway("kobo")
	if _, body := simulatortest.Post(t, address+"/kobo/api/send/", simulatortest.With(call(1, ada, obi), "type", "1")); !strings.HasPrefix(body, ada+",") {
		t.Fatalf("got reply %q, want one that begins with %q", body, ada+",")
	}
	simulatortest.Post(t, address+"/_sandbox/nothing", url.Values{})
	if st := d.Stats(); st.Requests != 1 || st.Calls != 1 || st.Accepted != 2 || st.Credit != 1e9-2 || st != s.Stats() {
		t.Errorf("got stats %+v, and %+v of all gateways; want the same: Requests 1, Calls 1, Accepted 2, Credit 1e9-2", st, s.Stats())
	}
	last := d.LastAccepted()
	if !slices.Equal(last.Numbers, []uint64{2348030000000, 2348030000011}) || last.From != "Testing" || last.Body != "Hello" || last.Fields["type"] != "1" ||
		last.Key != call(1)["message_uuid"][0] {
		t.Errorf("got last call %+v, want the numbers, sender, text, type and key of the call", last)
	}
	if d.Accepted(2348030000011) != 1 || d.Accepted(2348030000022) != 0 {
		t.Errorf("got %d and %d accepted messages for two numbers, want 1 and 0", d.Accepted(2348030000011), d.Accepted(2348030000022))
	}
	for n, count := range d.AllAccepted() {
		if count != 1 || n != 2348030000000 && n != 2348030000011 {
			t.Errorf("got %d messages to %d, want one to each of two numbers", count, n)
		}
	}
	var st simulator.Stats
	if err := json.Unmarshal([]byte(simulatortest.Get(t, address+"/_sandbox/stats?gateway=kobo")), &st); err != nil || st != d.Stats() {
		t.Errorf("got stats %+v and the error %v, want %+v as from Gateway.Stats", st, err, d.Stats())
	}
	if status, body := simulatortest.Post(t, address+"/_sandbox/credit", url.Values{"gateway": {"unknown"}, "credit": {"1"}}); status != 400 || !strings.Contains(body, `unknown gateway "unknown"`) {
		t.Errorf("credit of an unknown gateway: got status %d and reply %q, want 400 and the name of the gateway", status, body)
	}
}

func TestSetReply_RepliesForNumbers(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	d := s.Gateway("kobo")
	if d.ReplyScope(simulator.Reject) != simulator.ScopeCall || d.ReplyScope(simulator.Later) != simulator.ScopeNone {
		t.Errorf("got reply scopes %v and %v; want ScopeCall for Reject, ScopeNone for Later", d.ReplyScope(simulator.Reject), d.ReplyScope(simulator.Later))
	}
	for fault, want := range map[string]bool{"later": true, "campaign": true, "credit": true, "close": false} {
		if d.CanReply(fault) != want {
			t.Errorf("CanReply(%q): got %t, want %t", fault, !want, want)
		}
	}
	if s.Gateway("qserve").CanReply("credit") || !s.Gateway("qserve").CanReply("campaign") {
		t.Error("254sms: want no reply for the fault credit, and one for the fault campaign, as on the vendor's page")
	}
	if err := d.SetReply(simulator.Later, 2348030000000); err == nil {
		t.Error("SetReply of a reply that the gateway does not have: got no error, want one")
	}
	if status, body := simulatortest.Post(t, address+"/_sandbox/say", url.Values{"gateway": {"kobo"}, "word": {"reject"}, "numbers": {obi}}); status != 204 {
		t.Fatalf("got status %d %s, want 204", status, body)
	}
	if _, body := simulatortest.Post(t, address+"/api/send/", call(1, ada, obi)); body != "error_limit" {
		t.Errorf("got reply %q, want \"error_limit\"", body)
	}
	if err := d.SetReply(simulator.Accept, 2348030000011); err != nil {
		t.Fatal(err)
	}
	if _, body := simulatortest.Post(t, address+"/api/send/", call(2, ada, obi)); !strings.HasPrefix(body, ada) {
		t.Errorf("got reply %q, want one that begins with %q", body, ada)
	}
	for _, form := range []url.Values{
		{"word": {"reject"}, "numbers": {obi}}, {"gateway": {"kobo"}, "word": {"reject"}, "numbers": {"x"}}, {"gateway": {"kobo"}, "word": {"perhaps"}, "numbers": {obi}},
	} {
		if status, _ := simulatortest.Post(t, address+"/_sandbox/say", form); status != 400 {
			t.Errorf("%v: got status %d, want 400", form, status)
		}
	}
}

func TestFault_MissingExtraAndShuffledNumbers(t *testing.T) {
	t.Parallel()
	numbers := func(body string) (out []string) {
		for part := range strings.SplitSeq(body, "~") {
			number, id, _ := strings.Cut(part, ",")
			if len(id) != 36 {
				t.Errorf("reply %q: got ID %q, want 36 characters", body, id)
			}
			out = append(out, number)
		}
		return out
	}
	for fault, want := range map[string][]string{
		"missing": {obi, eve}, "extra": {ada, obi, eve, "2348030000023"}, "shuffled": {eve, obi, ada},
	} {
		s, address := start(t, simulator.Options{})
		s.FailNext(1, fault)
		_, body := simulatortest.Post(t, address+"/api/send/", call(1, ada, obi, eve))
		if got := numbers(body); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", fault, got, want)
		}
		if st := s.Stats(); st.Accepted != 3 || st.Faults != 1 || (st.Ambiguous == 1) != (fault == "missing") {
			t.Errorf("%s: got stats %+v; want Accepted 3, Faults 1, and Ambiguous 1 only for the fault missing", fault, st)
		}
		s.FailNext(1, fault)
		if _, body := simulatortest.Post(t, address+"/api/send/", simulatortest.With(call(2, ada), "enable_msg_id", "0")); body != "sent" {
			t.Errorf("%s of a reply without numbers: got %q, want \"sent\"", fault, body)
		}
	}
}

func TestFault_OfOneGateway(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for _, f := range []simulator.Fault{{Name: "404", N: 1, Gateway: "kobo"}, {Name: "later", N: 1}, {Name: "code_error_billing", N: 1, Gateway: "kobo"}} {
		if err := s.Fail(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Fail(simulator.Fault{Name: "404", N: 1, Gateway: "unknown"}); err == nil {
		t.Error("Fail for an unknown gateway: got no error, want one")
	}
	for i, want := range []string{"Not Found\n", "error_gw", "error_billing"} {
		if _, body := simulatortest.Post(t, address+"/api/send/", call(i, ada)); body != want {
			t.Errorf("%d: got %q, want %q", i, body, want)
		}
	}
	if st := s.Stats(); st.Faults != 3 || st.Ambiguous != 0 {
		t.Errorf("got stats %+v; want Faults 3, Ambiguous 0", st)
	}
}

func TestFault_WhichAreAmbiguous(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"close": true, "hang": true, "html": true, "cut": true, "500": true, "502": true, "accept_close": true, "accept_429": true, "missing": true,
		"429": false, "404": false, "401": false, "error_gw": false, "later": false, "code_x": false, "extra": false, "shuffled": false,
	} {
		ambiguous, err := simulator.Ambiguous(name)
		if err != nil || ambiguous != want {
			t.Errorf("%s: ambiguous is %t (error %v), want %t", name, ambiguous, err, want)
		}
	}
}

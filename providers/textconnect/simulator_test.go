package textconnect

import (
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
	"github.com/tuma-sms/tuma/sms"
)

// gateway starts a sandbox server. It returns the server, and a provider for an account at this
// server.
func gateway(t testing.TB) (*simulator.Server, *Provider) {
	t.Helper()
	s := simulator.New(simulator.Options{Users: map[string]string{"demo": token}}, map[string]simulator.NewVendor{"textconnect": textconnectsim.New})
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	return s, open(t, Config{Endpoint: providers.Endpoint{BaseURL: web.URL + "/textconnect"}})
}

func TestMessages_FindASendOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s, p := gateway(t)
	s.FailNext(1, "accept_close")
	before := time.Now()
	if _, err := p.Send(t.Context(), batch(one, two)); verdict(t, err).Outcome != providers.Unknown {
		t.Fatal(err)
	}
	messages, err := p.Messages(t.Context(), before.Add(-time.Minute), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var found []sms.MSISDN
	for _, m := range messages {
		if age := m.Sent.Sub(before); m.From != "ACME" || !m.Status.Delivered || age < -2*time.Second || age > time.Minute {
			t.Errorf("got the message %+v of the send at %v, want it delivered, with its sender ID, within a minute", m, before)
		}
		if r, err := p.MessageStatus(t.Context(), m.ID); err != nil || r != m.Status {
			t.Errorf("%+v: MessageStatus returned %+v and the error %v, want the status in the report", m, r, err)
		}
		found = append(found, m.To)
	}
	if !slices.Equal(found, nums(one, two)) {
		t.Errorf("got the numbers %v in the report, want both recipients", found)
	}
	for _, kind := range p.ReportKinds() {
		if table, err := p.Report(t.Context(), kind, time.Time{}, time.Time{}); err != nil || len(table.Columns) < 2 {
			t.Errorf("%s: got the table %+v and the error %v, want at least 2 columns", kind, table, err)
		}
	}
}

func TestSendStored_FromBeginningToEnd(t *testing.T) {
	t.Parallel()
	s, p := gateway(t)
	ids, err := p.SendStored(t.Context(), providers.StoredBatch{List: "Everyone", From: "ACME", Body: "Hello"})
	if err != nil || len(ids) != 2 {
		t.Fatalf("got the IDs %q and the error %v, want 2 IDs", ids, err)
	}
	n := 0
	for _, id := range ids {
		if _, err := p.BackgroundMessages(t.Context(), id); !errors.Is(err, providers.ErrNotFinished) {
			t.Errorf("background send %s: got the error %v, want ErrNotFinished", id, err)
		}
		messages, err := p.BackgroundMessages(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if s.Accepted(uint64(m.To)) != 1 || !m.Status.Delivered {
				t.Errorf("got the message %+v, want it delivered and accepted once", m)
			}
		}
		n += len(messages)
	}
	if n != 250 {
		t.Errorf("got %d messages, want 250", n)
	}
	_, err = p.SendStored(t.Context(), providers.StoredBatch{Group: "Strangers", From: "ACME", Body: "Hello"})
	if e := verdict(t, err); e.Code != "-520" {
		t.Errorf("an unknown stored group: got %+v, want the code -520", e)
	}
	_, err = p.BackgroundMessages(t.Context(), "7")
	if e := verdict(t, err); e.Code != "-521" {
		t.Errorf("an unknown ID: got %+v, want the code -521", e)
	}
}

func TestAdmin_FromBeginningToEnd(t *testing.T) {
	t.Parallel()
	_, p := gateway(t)
	balance := func() float64 {
		t.Helper()
		b, err := p.Balance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return b.Amount
	}
	before := balance()
	u := ann
	u.Credits = 5
	if err := errors.Join(p.CreateUser(t.Context(), u), p.UpdateCredits(t.Context(), "ann", -2.5)); err != nil {
		t.Fatal(err)
	}
	if after := balance(); after != before-2.5 {
		t.Errorf("got the balance %v before and %v after, want 2.5 less", before, after)
	}
	err := p.CreateUser(t.Context(), u)
	if e := verdict(t, err); e.Code != "-508" || err.Error() != "textconnect CreateUser: rejected, refused (-508): The username is taken" {
		t.Errorf("got the error %v, want -508 with the gateway's explanation", err)
	}
	lines, err := p.ImportContactsCSV(t.Context(), contacts, ImportOptions{})
	if err != nil || len(lines) != 4 || lines[0].Result != ImportSuccess || lines[1].Result != ImportSuccess ||
		lines[2] != (ImportedLine{3, "Failed", "No name"}) || lines[3] != (ImportedLine{4, "Failed", "Invalid number (mynumber)"}) {
		t.Errorf("got the lines %+v and the error %v, want the results of the four lines", lines, err)
	}
	group := providers.StoredBatch{Group: "Staff", From: "ACME", Body: "Hello"}
	if _, err := p.SendStored(t.Context(), group); err != nil {
		t.Error(err)
	}
	if err := p.EmptyGroup(t.Context(), "Staff"); err != nil {
		t.Error(err)
	}
	if _, err := p.SendStored(t.Context(), group); verdict(t, err).Code != "-409" {
		t.Error(err)
	}
	if err := p.DeleteGroup(t.Context(), "Staff"); err != nil {
		t.Error(err)
	}
	if _, err := p.SendStored(t.Context(), group); verdict(t, err).Code != "-520" {
		t.Error(err)
	}
	if err := errors.Join(p.DeleteAllContacts(t.Context()), p.DeleteAllGroups(t.Context())); err != nil {
		t.Error(err)
	}
	if e := verdict(t, p.DeleteGroup(t.Context(), "Empty")); e.Code != "-520" {
		t.Errorf("an unknown group: got %+v, want the code -520", e)
	}
}

package africastalking

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/africastalking/africastalkingsim"
	"github.com/tuma-sms/tuma/sms"
)

var simulated = map[string]simulator.NewVendor{"africastalking": africastalkingsim.New}

// gateway starts a sandbox server. It returns the server, and a provider for an account at this server.
func gateway(t *testing.T, o simulator.Options, format Format) (*simulator.Server, *Provider) {
	t.Helper()
	o.Users = map[string]string{"demo": apiKey}
	s := simulator.New(o, simulated)
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	return s, open(t, Config{
		Endpoint: providers.Endpoint{BaseURL: web.URL + "/africastalking", Timeout: time.Minute}, Username: "demo", APIKey: apiKey, Format: format,
	})
}

// checkTwoHundred sends a batch of 200 recipients. The gateway refuses three of them.
func checkTwoHundred(t *testing.T, d *simulator.Gateway, p *Provider) {
	t.Helper()
	b := batch(append(manyNumbers(199), three)...)
	b.Body = "a+b & c% é€漢😀"
	p.now = func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) } // at this time Nigeria has no quiet hours
	refused := map[int]simulator.Reply{3: simulator.Reject, 100: simulator.Later, 199: simulator.Reject}
	for i, w := range refused {
		if err := d.SetReply(w, uint64(b.To[i])); err != nil {
			t.Fatal(err)
		}
	}
	results, err := p.Send(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for i, r := range results {
		if refused[i] != "" {
			continue
		}
		want := providers.Result{Outcome: providers.Accepted, MessageID: r.MessageID, Cost: "1.0000", Currency: "KES"}
		if diff := cmp.Diff(want, r); diff != "" || !strings.HasPrefix(r.MessageID, "ATXid_") {
			t.Errorf("recipient %d (-want +got):\n%s", i, diff)
		}
		ids[r.MessageID] = true
	}
	want := []providers.Result{
		{Outcome: providers.Rejected, Reason: "invalid_number", Code: "403", Cost: "0"},
		{Outcome: providers.Retryable, Reason: "gateway_error", Code: "501", Cost: "0"},
		{Outcome: providers.Rejected, Reason: "do_not_disturb", Code: "409", Cost: "0"},
	}
	if diff := cmp.Diff(want, []providers.Result{results[3], results[100], results[199]}); diff != "" || len(ids) != 197 {
		t.Errorf("%d ids (-want +got):\n%s", len(ids), diff)
	}
	if last := d.LastAccepted(); last.Body != b.Body || last.From != "ACME" || len(last.Numbers) != 197 || last.Fields["enqueue"] != "1" || last.Fields["bulkSMSMode"] != "1" {
		t.Errorf("got the message %+v at the sandbox, want the batch's text, sender ID and options for 197 numbers", last)
	}
}

// TestSend_AgreesWithTheSandbox sends through the sandbox, which implements the vendor's documentation independently of the client.
func TestSend_AgreesWithTheSandbox(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, XML} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			s, p := gateway(t, simulator.Options{Credit: 198}, format)
			d := s.Gateway("africastalking")
			checkTwoHundred(t, d, p)
			if got, err := p.Balance(t.Context()); err != nil || got != (providers.Balance{Amount: 1, Currency: "KES"}) {
				t.Errorf("balance: got %+v and the error %v, want 1 KES", got, err)
			}
			// The last credit pays for the first recipient; the second recipient gets the error for
			// an account without credit.
			results, err := p.Send(t.Context(), batch(one+1000, one+1001))
			if err != nil || results[0].Outcome != providers.Accepted || !slices.Equal(results[1:], res(providers.Result{
				Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Reason: "no_credit", Code: "405", Cost: "0",
			})) {
				t.Errorf("got %+v and the error %v, want one accepted and one no_credit", results, err)
			}
			africastalkingsim.Of(s).RefuseSender("ACME")
			_, err = p.Send(t.Context(), batch(one))
			if e := verdict(t, err); e.Scope != providers.Campaign || e.Outcome != providers.Rejected || e.Code != "InvalidSenderId" {
				t.Errorf("a refused sender ID: got %+v, want rejected, campaign, InvalidSenderId", e)
			}
			messages, err := p.Inbox(t.Context(), "15071")
			if err != nil || len(messages) != 2 || messages[1].Text != "STOP" || messages[0].From != "+254733000002" || messages[0].At.IsZero() {
				t.Errorf("inbox: got %+v and the error %v, want both messages", messages, err)
			}
			s.SetPassword("demo", "other")
			_, err = p.Balance(t.Context())
			if e := verdict(t, err); e.Cause != providers.CauseCredentials {
				t.Errorf("a wrong key: got %+v, want the cause credentials", e)
			}
		})
	}
}

func TestSend_AnswersWithOtherNumbers(t *testing.T) {
	t.Parallel()
	for fault, unknown := range map[string]int{"missing": 1, "extra": 0, "shuffled": 0} {
		for _, format := range []Format{JSON, XML} {
			s, p := gateway(t, simulator.Options{}, format)
			s.FailNext(1, fault)
			results, err := p.Send(t.Context(), batch(one, three, two))
			if err != nil || len(results) != 3 {
				t.Errorf("%s: got %v and the error %v, want 3 results", fault, results, err)
				continue
			}
			left := unknown
			for _, r := range results {
				switch {
				case r.Outcome == providers.Accepted && r.MessageID != "":
				case r == missing:
					left--
				default:
					t.Errorf("%s: got the result %+v, want accepted or unknown", fault, r)
				}
			}
			if left != 0 {
				t.Errorf("%s: got %+v, want %d unknown", fault, results, unknown)
			}
		}
	}
}

func ExampleProvider_Send() {
	server := httptest.NewServer(simulator.New(simulator.Options{Seed: 1, Credit: 2}, simulated))
	defer server.Close()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: server.URL}, Username: "demo", APIKey: "key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b := providers.Batch{From: "ACME", Body: "Hello", To: []sms.MSISDN{254711000001, 254733000002, 254711000003}}
	results, _ := p.Send(context.Background(), b)
	for i, r := range results {
		fmt.Println(b.To[i].Masked(), r.Outcome, r.Scope, len(r.MessageID), r.Cost)
	}
	b.From = "a sender too long"
	_, err = p.Send(context.Background(), b)
	if e, ok := errors.AsType[*providers.Error](err); ok {
		fmt.Println(e.Outcome, e.Scope, e.Cause, e.Code)
	}
	// Output:
	// 2547****0001 accepted recipient 38 1.0000
	// 2547****0002 accepted recipient 38 1.0000
	// 2547****0003 retryable account 0 0
	// rejected campaign refused InvalidSenderId
}

package africastalking

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestInbox(t *testing.T) {
	t.Parallel()
	const body = `{"SMSMessageData":{"Messages":[
		{"linkId":"SampleLinkId123","text":"STOP \"it\" & <go> é漢😀\n","to":"28901","id":15071,"date":"2018-03-19T08:34:18.445Z","from":"+254711000001"},
		{"linkId":null,"text":"","to":"28901","id":"15072","date":"2018-03-19 08:34:18","from":"+254711000001"},
		{"text":254711000001,"id":18446744073709551615,"date":"yesterday","from":"Safaricom"}]}}`
	p, seen := answering(t, 200, "application/json", body)
	got, err := p.Inbox(t.Context(), "15070")
	want := []providers.Inbound{
		{ID: "15071", From: "+254711000001", To: "28901", Text: "STOP \"it\" & <go> é漢😀\n", LinkID: "SampleLinkId123", At: time.Date(2018, 3, 19, 8, 34, 18, 445e6, time.UTC)},
		{ID: "15072", From: "+254711000001", To: "28901", At: time.Date(2018, 3, 19, 8, 34, 18, 0, time.UTC), Fields: map[string]string{"date": "2018-03-19 08:34:18"}},
		{ID: "18446744073709551615", From: "Safaricom", Text: "254711000001", UnreadTime: "yesterday", Fields: map[string]string{"date": "yesterday"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	if r := <-seen; r.method != "GET" || r.uri != "/prefix/version1/messaging?username=acme+%26+co&lastReceivedId=15070" || r.header.Get("Apikey") != apiKey {
		t.Errorf("got the request %+v, want a GET with lastReceivedId=15070", r)
	}
	if _, err := p.Inbox(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if r := <-seen; !strings.HasSuffix(r.uri, "&lastReceivedId=0") {
		t.Errorf("got the request %+v, want lastReceivedId=0", r)
	}
	if got, ok := parseInbox([]byte(`{"SMSMessageData":{"Messages":[]}}`)); !ok || len(got) != 0 {
		t.Errorf("an empty inbox: got %v %v, want an empty list and true", got, ok)
	}
	for _, body := range []string{
		``, `{}`, `[]`, `<html>`, `{"SMSMessageData":{}}`, `{"SMSMessageData":{"Messages":null}}`, `{"SMSMessageData":{"Messages":{}}}`,
		`{"SMSMessageData":{"Messages":[1]}}`, `{"SMSMessageData":{"Messages":[{}]}}`, `{"SMSMessageData":{"Messages":[{"id":"x"}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1.5}]}}`, `{"SMSMessageData":{"Messages":[{"id":-1}]}}`, `{"SMSMessageData":{"Messages":[{"id":1e3}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1,"id":2}]}}`, `{"SMSMessageData":{"Messages":[{"id":1,"text":["x"]}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1},null]}}`, `{"SMSMessageData":{"Messages":[{"id":1}]}`,
	} {
		if got, ok := parseInbox([]byte(body)); ok {
			t.Errorf("%s: got %+v, want no inbox", body, got)
		}
	}
}

// FuzzParseBalanceAndInbox checks what the parsers return for any body. A currency must have 0 or 3
// letters, and every message must have an ID of at most 20 digits.
func FuzzParseBalanceAndInbox(f *testing.F) {
	for _, seed := range []string{
		`{"UserData":{"balance":"KES 1785.50"}}`, `{"userData":{"balance":"0"}}`, `{"SMSMessageData":{"Messages":[]}}`,
		`{"SMSMessageData":{"Messages":[{"linkId":"l","text":"t","to":"28901","id":15071,"date":"2018-03-19T08:34:18.445Z","from":"+254711000001"}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if balance, ok := parseBalance(body); ok {
			if lower := strings.ToLower(string(body)); !strings.ContainsAny(lower, "0123456789") && !strings.Contains(lower, `\u`) || len(balance.Currency) != 0 && len(balance.Currency) != 3 {
				t.Fatalf("%q: got the balance %+v, want a number from the body and a currency of 0 or 3 letters", body, balance)
			}
		}
		messages, ok := parseInbox(body)
		if !ok && messages != nil {
			t.Fatalf("%q: not understood, but got messages %v, want none", body, messages)
		}
		for _, m := range messages {
			if n, ok := new(big.Int).SetString(m.ID, 10); !ok || n.Sign() < 0 || len(m.ID) > 20 {
				t.Fatalf("%q: got the message %+v, want an ID of at most 20 digits", body, m)
			}
		}
	})
}

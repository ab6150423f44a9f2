package africastalking

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

func TestDeferQuiet_OnlyNigeriansInTheQuietHours(t *testing.T) {
	t.Parallel()
	const nigerian, kenyan = 2348030000001, 254711000001
	refused := providers.Result{Outcome: providers.Rejected, Reason: "do_not_disturb", Code: "409"}
	for at, wait := range map[string]time.Duration{ // times in UTC; Nigeria is an hour ahead
		"2026-11-28T18:59:59Z": 0,
		"2026-11-28T19:00:00Z": 12 * time.Hour,
		"2026-11-28T22:59:00Z": 8*time.Hour + time.Minute,
		"2026-11-28T23:01:00Z": 7*time.Hour + 59*time.Minute,
		"2026-11-29T06:59:30Z": 30 * time.Second,
		"2026-11-29T07:00:00Z": 0,
		"2026-12-31T19:00:00Z": 12 * time.Hour,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		other := providers.Result{Outcome: providers.Rejected, Reason: "invalid_number", Code: "403"}
		results := []providers.Result{refused, refused, other, {Outcome: providers.Accepted}}
		deferQuiet(results, []sms.MSISDN{nigerian, kenyan, nigerian, nigerian}, now)
		want := refused
		if wait > 0 {
			want.Outcome, want.RetryAfter = providers.Retryable, wait
		}
		if results[0] != want {
			t.Errorf("at %s: got %+v for a Nigerian, want %+v", at, results[0], want)
		}
		if results[1] != refused || results[2] != other || results[3].Outcome != providers.Accepted {
			t.Errorf("at %s: got %+v for the others, want them unchanged", at, results[1:])
		}
	}
}

// The vendor's page about notifications shows this body together with the HTTP status 409.
func TestSend_QuietHoursUnderStatus409(t *testing.T) {
	t.Parallel()
	const body = `{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[{"cost":"0","messageId":"None","number":"+2348030000001","status":"DoNotDisturbRejection","statusCode":409}]}}`
	for hour, want := range map[int]providers.Outcome{3: providers.Retryable, 12: providers.Rejected, 20: providers.Retryable} {
		p, _ := answering(t, 409, "application/json", body)
		p.now = func() time.Time { return time.Date(2026, 11, 28, hour, 0, 0, 0, time.UTC) }
		b := batch(one)
		b.To = []sms.MSISDN{2348030000001}
		results, err := p.Send(t.Context(), b)
		if err != nil || len(results) != 1 || results[0].Outcome != want || results[0].Reason != "do_not_disturb" {
			t.Errorf("at %d:00: got %+v and the error %v, want %v for the recipient", hour, results, err, want)
		}
	}
}

package africastalking

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

func TestDLR_ReadsEachCallback(t *testing.T) {
	t.Parallel()
	const id = "id=ATXid_1&"
	report := func(state string, r providers.MessageStatus) providers.DLR {
		r.State = state
		return providers.DLR{MessageID: "ATXid_1", To: one, Status: r}
	}
	failed := report("Failed", providers.MessageStatus{Final: true})
	failed.Blacklisted = true
	failed.Reason, failed.Fields = "UserInBlackList", map[string]string{"networkCode": "63902", "retryCount": "2"}
	masked := report("Success", providers.MessageStatus{Final: true, Delivered: true})
	masked.To, masked.Fields = 0, map[string]string{"phoneNumber": "+254711XXX001"}
	withoutNumber := masked
	withoutNumber.Fields = nil
	for form, want := range map[string]*providers.DLR{
		id + "status=Sent&phoneNumber=%2B254711000001":                                                                     new(report("Sent", providers.MessageStatus{})),
		id + "status=Submitted&phoneNumber=%2B254711000001":                                                                new(report("Submitted", providers.MessageStatus{})),
		id + "status=Buffered&phoneNumber=%2B254711000001":                                                                 new(report("Buffered", providers.MessageStatus{})),
		id + "status=Success&phoneNumber=%2B254711000001":                                                                  new(report("Success", providers.MessageStatus{Final: true, Delivered: true})),
		id + "status=Rejected&phoneNumber=%2B254711000001":                                                                 new(report("Rejected", providers.MessageStatus{Final: true})),
		id + "status=AbsentSubscriber&phoneNumber=%2B254711000001":                                                         new(report("AbsentSubscriber", providers.MessageStatus{Final: true})),
		id + "status=Expired&phoneNumber=%2B254711000001":                                                                  new(report("Expired", providers.MessageStatus{Final: true})),
		id + "status=Failed&phoneNumber=%2B254711000001&networkCode=63902&failureReason=UserInBlackList&retryCount=2&more": &failed,
		id + "status=success&phoneNumber=254711000001":                                                                     new(report("success", providers.MessageStatus{Final: true, Delivered: true})),
		id + "status=Success&phoneNumber=+254711000001":                                                                    new(report("Success", providers.MessageStatus{Final: true, Delivered: true})), // + not escaped
		id + "status=Marvellous&phoneNumber=%2B254711000001":                                                               new(report("Marvellous", providers.MessageStatus{})),
		id + "status=Success&phoneNumber=%2B254711XXX001":                                                                  &masked,
		id + "status=Success": &withoutNumber,
		id + "status=":        nil, id: nil, "": nil, "status=Success&phoneNumber=%2B254711000001": nil,
		"id=None&status=Success&phoneNumber=%2B254711000001":    nil,
		"id=a%20b&status=Success&phoneNumber=%2B254711000001":   nil,
		"id=+&status=Success&phoneNumber=%2B254711000001":       nil,
		"status=Success&id=" + strings.Repeat("x", 129):         nil,
		"linkId=1&text=a&to=28901&date=x&from=%2B254711000001":  nil,
		"senderId=ACME&phoneNumber=%2B254711000001":             nil,
		"ID=ATXid_1&Status=Success&phoneNumber=%2B254711000001": nil,
	} {
		checkCallback(t, form, want, func(consumer func(context.Context, providers.DLR) error) (http.Handler, error) {
			return DeliveryReports(apiKey, consumer)
		})
	}
}

func TestIncoming_ReadsEachCallback(t *testing.T) {
	t.Parallel()
	const required = "from=%2B254711000001&id=be1b9e3c&text="
	message := providers.Inbound{ID: "be1b9e3c", From: "+254711000001"}
	full := providers.Inbound{
		ID: "be1b9e3c", From: "+254711000001", To: "28901", Text: " JOIN & é漢😀\r\n+1 ", LinkID: "28a92cdf-2d63-4ee3-93df-4233d3de0356",
		At: time.Date(2016, 3, 9, 8, 5, 3, 0, time.UTC), Fields: map[string]string{"cost": "None", "networkCode": "63902"},
	}
	zoneless, dateless := message, message
	zoneless.At, zoneless.Fields = time.Date(2016, 3, 9, 8, 5, 3, 0, time.UTC), map[string]string{"date": "2016-03-09 08:05:03"}
	dateless.UnreadTime, dateless.Fields = "0000-00-00 00:00:00", map[string]string{"date": "0000-00-00 00:00:00"}
	word := message
	word.From, word.To = "Safaricom", "+254 28901"
	odd := message
	odd.Text = "50% off; ab"
	long := message
	long.Text = strings.Repeat("é", 10_000)
	for form, want := range map[string]*providers.Inbound{
		"date=2016-03-09T08:05:03Z&from=%2B254711000001&id=be1b9e3c&linkId=28a92cdf-2d63-4ee3-93df-4233d3de0356" +
			"&text=+JOIN+%26+%C3%A9%E6%BC%A2%F0%9F%98%80%0D%0A%2B1+&to=28901&cost=None&networkCode=63902&more=x": &full,
		required:                                                &message,
		"from=+254711000001&id=be1b9e3c&text=":                  &message, // + not escaped
		required + "&date=2016-03-09 08:05:03":                  &zoneless,
		required + "&date=0000-00-00 00:00:00":                  &dateless,
		"from=Safaricom&to=%2B254 28901&id=be1b9e3c&text=":      &word,
		required + strings.Repeat("%C3%A9", 10_000):             &long,
		required + "50%+off;+a%00b":                             &odd,
		"from=%2B254711000001&id=be1b9e3c":                      nil,
		"from=%2B254711000001&text=a":                           nil,
		"id=be1b9e3c&text=a":                                    nil,
		"from=+&id=be1b9e3c&text=a":                             nil,
		"from=a&text=a&id=" + strings.Repeat("x", 129):          nil,
		"from=a&text=a&id=None":                                 nil,
		"from=a&text=a&id=1&linkId=" + strings.Repeat("x", 129): nil,
		"id=1&text=a&from=" + strings.Repeat("x", 129):          nil,
		"id=1&text=a&from=a&to=" + strings.Repeat("x", 129):     nil,
		"": nil,
		"id=ATXid_1&status=Success&phoneNumber=%2B254711000001": nil,
	} {
		checkCallback(t, form, want, func(consumer func(context.Context, providers.Inbound) error) (http.Handler, error) {
			return Incoming(apiKey, consumer)
		})
	}
}

func TestOptOut_ReadsEachCallback(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]*providers.OptOut{
		"senderId=ACME&phoneNumber=%2B254711000001":                        {From: "ACME", Number: one},
		"senderId=+ACME+&phoneNumber=+254711000001":                        {From: "ACME", Number: one},
		"phoneNumber=%2B254711000001":                                      {Number: one},
		"senderId=&phoneNumber=254711000001&x=y":                           {Number: one},
		"senderId=ACME":                                                    nil,
		"phoneNumber=%2B254711000001&senderId=" + strings.Repeat("x", 129): nil,
		"senderId=ACME&phoneNumber=":                                       nil,
		"senderId=ACME&phoneNumber=0711000001":                             nil,
		"senderId=ACME&phoneNumber=%2B254711XXX001":                        nil,
		"senderId=ACME&phoneNumber=%2B0":                                   nil,
		"senderId=ACME&phoneNumber=2547110000010000":                       nil,
		"senderId=ACME&phoneNumber=%2B%2B25471100001":                      nil,
		"": nil,
	} {
		checkCallback(t, form, want, func(consumer func(context.Context, providers.OptOut) error) (http.Handler, error) {
			return OptOuts(apiKey, consumer)
		})
	}
}

// checkCallback posts a form to a handler. It compares the value that the handler passes to its consumer with
// the parameter "want", and checks the response's status.
func checkCallback[T any](t *testing.T, form string, want *T, handler func(consumer func(context.Context, T) error) (http.Handler, error)) {
	t.Helper()
	for _, fails := range []error{nil, errors.New("no room for s3cr3t")} {
		var got *T
		h, err := handler(func(_ context.Context, told T) error {
			if got != nil {
				t.Errorf("%.100s: consumer was called twice, want once", form)
			}
			got = &told
			return fails
		})
		if err != nil {
			t.Fatal(err)
		}
		status, body := knock(h, http.MethodPost, "/callbacks/", form)
		wantStatus := map[bool]int{true: http.StatusOK, false: http.StatusInternalServerError}[fails == nil]
		if want == nil {
			wantStatus = http.StatusBadRequest
		}
		if diff := cmp.Diff(want, got); diff != "" || status != wantStatus || strings.Contains(body, "s3cr3t") {
			t.Errorf("%.100s: %d %s (-want +got):\n%s", form, status, body, diff)
		}
	}
}

// knock sends a request to a handler, with a path that ends in the secret.
func knock(h http.Handler, method, prefix, form string) (status int, body string) {
	r := httptest.NewRequest(method, prefix+url.PathEscape(apiKey), strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(text)
}

func TestCallback_NeedsTheRightSecret(t *testing.T) {
	t.Parallel()
	const form = "id=ATXid_1&status=Success&phoneNumber=%2B254711000001&from=%2B254711000001&text=a"
	taken := 0
	handlers := func(secret providers.Secret) map[string]http.Handler {
		reports, err1 := DeliveryReports(secret, func(context.Context, providers.DLR) error { taken++; return nil })
		incoming, err2 := Incoming(secret, func(context.Context, providers.Inbound) error { taken++; return nil })
		optOuts, err3 := OptOuts(secret, func(context.Context, providers.OptOut) error { taken++; return nil })
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return map[string]http.Handler{"reports": reports, "incoming": incoming, "opt-outs": optOuts}
	}
	for name, h := range handlers("other") {
		if status, _ := knock(h, http.MethodPost, "/", form); status != http.StatusNotFound {
			t.Errorf("%s, another secret: got status %d, want 404", name, status)
		}
	}
	for name, h := range handlers(apiKey) {
		if status, _ := knock(h, http.MethodGet, "/", form); status != http.StatusMethodNotAllowed {
			t.Errorf("%s by GET: got status %d, want 405", name, status)
		}
		if status, _ := knock(h, http.MethodPost, "/", form+"&x="+strings.Repeat("x", 1<<20)); status != http.StatusBadRequest {
			t.Errorf("%s, a form of a megabyte: got status %d, want 400", name, status)
		}
	}
	if taken != 0 {
		t.Errorf("consumer was called %d times for refused requests, want 0", taken)
	}
	for name, h := range handlers(apiKey) {
		if status, _ := knock(h, http.MethodPost, "/a/b/", form); status != http.StatusOK {
			t.Errorf("%s: got status %d, want 200", name, status)
		}
	}
	if taken != 3 {
		t.Errorf("consumer was called %d times, want 3", taken)
	}
}

func TestCallback_InvalidSecretIsRefused(t *testing.T) {
	t.Parallel()
	for _, secret := range []providers.Secret{"", "l0ng/random"} {
		reports, err1 := DeliveryReports(secret, func(context.Context, providers.DLR) error { return nil })
		incoming, err2 := Incoming(secret, func(context.Context, providers.Inbound) error { return nil })
		optOuts, err3 := OptOuts(secret, func(context.Context, providers.OptOut) error { return nil })
		if reports != nil || incoming != nil || optOuts != nil || err1 == nil || err2 == nil || err3 == nil {
			t.Errorf("secret %q: got the errors %v, %v, %v, want no nil among them", secret.Reveal(), err1, err2, err3)
		}
	}
}

type key struct{}

func TestCallback_PassesTheContextOfTheRequest(t *testing.T) {
	t.Parallel()
	h, err := OptOuts(apiKey, func(ctx context.Context, _ providers.OptOut) error {
		if ctx.Value(key{}) != "x" {
			return errors.New("another context")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	status, _ := knock(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "x")))
	}), http.MethodPost, "/", "phoneNumber=%2B254711000001")
	if status != http.StatusOK {
		t.Errorf("got status %d, want 200", status)
	}
}

// FuzzParseCallbacks checks that the parsed fields equal the fields of the form and are within their limits.
func FuzzParseCallbacks(f *testing.F) {
	for _, seed := range []string{
		"id=ATXid_1&status=Success&phoneNumber=%2B254711000001&networkCode=63902&failureReason=x&retryCount=1",
		"date=2016-03-09T08:05:03Z&from=%2B254711000001&id=be1b9e3c&linkId=l&text=JOIN&to=28901&cost=KES+1&networkCode=63902",
		"senderId=ACME&phoneNumber=+254711000001", "", "id=&status=&phoneNumber=%ff&text=%00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		// The test skips invalid UTF-8: httpclient.CallbackForm replaces invalid UTF-8 before a parser gets the
		// form.
		form, err := url.ParseQuery(raw)
		if plain, _ := url.QueryUnescape(raw); err != nil || !utf8.ValidString(plain) {
			return
		}
		isNumber := func(n sms.MSISDN, text string) bool {
			return strings.TrimPrefix(strings.TrimSpace(text), "+") == n.String() && len(n.String()) >= 7
		}
		if d, ok := parseReport(form); ok {
			delivered := strings.EqualFold(strings.TrimSpace(form.Get("status")), "success")
			if strings.TrimSpace(form.Get("id")) != d.MessageID || d.MessageID == "" || d.Status.Delivered != delivered || d.Status.Delivered && !d.Status.Final ||
				d.To != 0 && !isNumber(d.To, form.Get("phoneNumber")) || len(d.Status.State) > 64 || len(d.Reason) > 64 || !utf8.ValidString(d.Status.State+d.Reason) {
				t.Fatalf("%q: got the report %+v, want the values of the form", raw, d)
			}
		}
		if m, ok := parseIncoming(form); ok && (m.Text != form.Get("text") || m.From == "" || m.ID != strings.TrimSpace(form.Get("id")) || m.ID == "" || max(len(m.ID), len(m.From), len(m.To), len(m.LinkID)) > 128) {
			t.Fatalf("%q: got the message %+v, want the values of the form", raw, m)
		}
		if o, ok := parseOptOut(form); ok != (isNumber(o.Number, form.Get("phoneNumber")) && len(o.From) <= 128) {
			t.Fatalf("%q: got the opt-out %+v %v, want true exactly for a form with a valid number", raw, o, ok)
		}
	})
}

func ExampleDeliveryReports() {
	reports, err := DeliveryReports("l0ng-and-random", func(_ context.Context, d providers.DLR) error {
		fmt.Println(d.MessageID, d.To.Masked(), d.Status.State, d.Status.Final, d.Status.Delivered)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(reports)
	defer server.Close()
	for _, secret := range []string{"guessed", "l0ng-and-random"} {
		resp, err := http.PostForm(server.URL+"/callbacks/africastalking/reports/"+secret, url.Values{
			"id": {"ATXid_1"}, "status": {"Success"}, "phoneNumber": {"+254711000001"}, "networkCode": {"63902"},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 404
	// ATXid_1 2547****0001 Success true true
	// 200
}

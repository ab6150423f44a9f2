package africastalking

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestAnswer_OnDemandMessage(t *testing.T) {
	t.Parallel()
	seen := make(chan url.Values, 4)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		seen <- r.PostForm
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"SMSMessageData":{"Message":"Sent to 1/1","Recipients":[{"statusCode":102,"number":"+254711000001","cost":"KES 0.8000","status":"Success","messageId":"ATXid_1"}]}}`))
	}))
	t.Cleanup(web.Close)
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: web.URL}, Username: "demo", APIKey: "k", Options: Options{Keyword: "DAILY"}})
	if err != nil {
		t.Fatal(err)
	}
	answer := Kind().Actions[0]
	good := map[string]string{"linkId": "28a92cdf", "to": "+254711000001", "message": "Sawa", "from": "28901", "retryDurationInHours": "2"}
	if err := answer.Check(good); err != nil {
		t.Fatal(err)
	}
	table, err := answer.Do(t.Context(), p, good)
	want := providers.Table{Columns: []string{"to", "outcome", "messageId", "cost", "reason", "code"}, Rows: [][]string{{"254711000001", "accepted", "ATXid_1", "KES 0.8000", "", ""}}}
	if diff := cmp.Diff(want, table); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	form := url.Values{
		"username": {"demo"}, "to": {"+254711000001"}, "message": {"Sawa"}, "from": {"28901"}, "bulkSMSMode": {"0"}, "enqueue": {"1"},
		"keyword": {"DAILY"}, "linkId": {"28a92cdf"}, "retryDurationInHours": {"2"},
	}
	if diff := cmp.Diff(form, <-seen); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	for field, value := range map[string]string{"to": "12", "from": "TwelveLetter", "retryDurationInHours": "soon"} {
		in := map[string]string{"linkId": "x", "to": "254711000001", "message": "Sawa"}
		in[field] = value
		if _, err := answer.Do(t.Context(), p, in); err == nil {
			t.Errorf("%s %q: got no error, want one", field, value)
		}
	}
	if len(seen) != 0 {
		t.Errorf("got %d requests for mistakes, want none", len(seen))
	}
}

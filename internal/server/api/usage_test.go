package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/keys"
)

func TestUsage_InJSONAndCSV(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.key(nil, keys.ScopeRead)
	month := time.Now().UTC().Format("2006-01")
	r.want("nothing yet", r.do(key, "GET", "/v1/usage", ""), http.StatusOK, `{"usage":[]}`)
	if err := r.rdb.HSet(t.Context(), "tuma:{usage}:"+month, "at\tACME\tf742eeb916\tshop\tKES", "3 4 2400000", "qs\t=SUM(A1)\t\t\t", "5 5 0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.HSet(t.Context(), "tuma:{usage}:2025-01", "at\tACME\t\t\tKES", "1 1 800000").Err(); err != nil {
		t.Fatal(err)
	}
	r.want("this month", r.do(key, "GET", "/v1/usage", ""), http.StatusOK, `{"month":"`+month+`","account":"at","sender":"ACME","key":"shop","key_id":"f742eeb916","messages":3,"segments":4,"cost":"2.40","currency":"KES"}`, `"qs"`)
	only := r.do(key, "GET", "/v1/usage?key=shop&account=at&sender=ACME", "")
	if r.want("some rows", only, http.StatusOK, `"messages":3`); strings.Contains(only.body, `"qs"`) {
		t.Errorf("the answer has other rows: %s", only.body)
	}
	if got := r.do(key, "GET", "/v1/usage?from=2025-01&to=2025-01", ""); strings.Contains(got.body, month) || !strings.Contains(got.body, `"cost":"0.80"`) {
		t.Errorf("January has %s", got.body)
	}
	table := r.do(key, "GET", "/v1/usage", "", "Accept", "text/csv")
	want := "month,account,sender,key,key_id,messages,segments,cost,currency,estimate\n" + month + ",at,ACME,shop,f742eeb916,3,4,2.40,KES,\n" + month + ",qs,'=SUM(A1),,,5,5,,,\n"
	if table.body != want || !strings.HasPrefix(table.header.Get("Content-Type"), "text/csv") {
		t.Errorf("CSV is %q, want %q", table.body, want)
	}
	for _, query := range []string{"from=2025-13", "from=2025", "to=x", "from=2025-02&to=2025-01", "from=2020-01&to=2025-01", "from=0001-01&to=9999-12"} {
		r.want(query, r.do(key, "GET", "/v1/usage?"+query, ""), http.StatusUnprocessableEntity)
	}
}

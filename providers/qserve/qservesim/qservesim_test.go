package qservesim_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/qserve/qservesim"
)

// start starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, map[string]simulator.NewVendor{"qserve": qservesim.New})
}

// qserveAsk posts a body to QServe and returns the reply.
func qserveAsk(t *testing.T, address, contentType, body string) string {
	t.Helper()
	resp, err := http.Post(address, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("got status %d, header %v, error %v; want 200, the Content-Type application/json and no error", resp.StatusCode, resp.Header, err)
	}
	return string(read)
}

func TestSend_AnswersAsDocumented(t *testing.T) {
	t.Parallel()
	const (
		login = `"username":"demo","api_key":"key"`
		head  = `[{"recipientsCount":`
		sent  = `"message":"Hello","statusCode":"Successfully Sent","statusMessage":2}`
		x000  = `[{"statusCode":"X000","statusMessage":"Some parameters are missing."}]`
		x001  = `[{"statusCode":"X001","statusMessage":"Unknown or unvalid secret_key ."}]`
	)
	for name, tc := range map[string]struct {
		body, contentType string
		want              string
	}{
		"one": {`{` + login + `,"sender_id":"ACME","phone":"254725656565","message":"Hello"}`, "",
			head + `1,"statusMessage":"Success","statusCode":101,"Balance":2,"messageDetails":[{"recipient":"254725656565",` + sent + `]}]`},
		"two, no sender": {`{` + login + `,"phone":"254725656565,254110000002","message":"Hello"}`, "application/json; charset=utf-8",
			head + `2,"statusMessage":"Success","statusCode":101,"Balance":1,"messageDetails":[{"recipient":"254725656565",` + sent + `,{"recipient":"254110000002",` + sent + `]}]`},
		"no number": {`{` + login + `,"phone":"+254725656565","message":"Hello"}`, "",
			head + `1,"statusMessage":"Success","statusCode":101,"Balance":3,"messageDetails":[{"recipient":"+254725656565","message":"Hello","statusCode":"Failed","statusMessage":0}]}]`},
		"a space":        {`{` + login + `,"phone":"254725656565, 254110000002","message":"Hello"}`, "", ""},
		"too many":       {`{` + login + `,"phone":"254725656565,254725656566,254725656567,254725656568","message":"Hello"}`, "", `[{"Balance":3,"statusCode":102,"statusMessage":"Insufficient credits"}]`},
		"wrong key":      {`{"username":"demo","api_key":"x","phone":"254725656565","message":"Hello"}`, "", x001},
		"wrong user":     {`{"username":"x","api_key":"key","phone":"254725656565","message":"Hello"}`, "", x001},
		"no login":       {`{"phone":"254725656565","message":"Hello"}`, "", x000},
		"no phone":       {`{` + login + `,"phone":"","message":"Hello"}`, "", x000},
		"no message":     {`{` + login + `,"phone":"254725656565"}`, "", x000},
		"a number":       {`{` + login + `,"phone":254725656565,"message":"Hello"}`, "", x000},
		"a list":         {`[{` + login + `,"phone":"254725656565","message":"Hello"}]`, "", x000},
		"a form":         {`username=demo&api_key=key&phone=254725656565&message=Hello`, "application/x-www-form-urlencoded", x000},
		"JSON as a form": {`{` + login + `,"phone":"254725656565","message":"Hello"}`, "application/x-www-form-urlencoded", x000},
		"not UTF-8":      {`{` + login + `,"phone":"254725656565","message":"` + "\xff" + `"}`, "", x000},
		"nothing":        {``, "", x000},
	} {
		for _, prefix := range []string{"", "/qserve"} {
			s, address := start(t, simulator.Options{Users: map[string]string{"demo": "key"}, Credit: 3})
			if tc.contentType == "" {
				tc.contentType = "application/json"
			}
			got := qserveAsk(t, address+prefix+"/version1/sendsms", tc.contentType, tc.body)
			if got != tc.want && tc.want != "" {
				t.Errorf("%s: got %s\nwant %s", name, got, tc.want)
			}
			taken := int64(strings.Count(got, "Successfully"))
			if st := s.Gateway("qserve").Stats(); st.Accepted != taken || (st.Rejected == 1) != (taken == 0) || st.Calls != 1 || st.Credit != float64(3-taken) {
				t.Errorf("%s: got stats %+v; want Accepted %d, Calls 1, Credit %d, and Rejected 1 only if nothing is accepted", name, st, taken, 3-taken)
			}
		}
	}
}

func TestSend_RecordsAcceptedMessages(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	d := s.Gateway("qserve")
	for from, want := range map[string]string{"": "254sms", "ACME": "ACME"} {
		qserveAsk(t, address+"/version1/sendsms", "application/json",
			`{"username":"demo","api_key":"key","sender_id":"`+from+`","phone":"254725656565,25472256565,x","message":"<é> \"漢😀\""}`)
		if last := d.LastAccepted(); !slices.Equal(last.Numbers, []uint64{254725656565, 25472256565}) || last.From != want || last.Body != `<é> "漢😀"` {
			t.Errorf("got last call %+v, want its two numbers, the sender %q and the unchanged text", last, want)
		}
	}
	for _, w := range []simulator.Reply{simulator.Reject, simulator.Later} {
		if d.ReplyScope(w) != simulator.ScopeNone {
			t.Errorf("reply scope of %s: got %v, want ScopeNone", w, d.ReplyScope(w))
		}
	}
}

func TestCredits_AsDocumented(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Users: map[string]string{"demo": "key"}, Credit: 345})
	for body, want := range map[string]string{
		`{"username":"demo","api_key":"key"}`: `[{"credits":"345","statusCode":101}]`,
		`{"username":"demo","api_key":"x"}`:   `[{"statusCode":"X001","statusMessage":"Unknown or unvalid secret_key ."}]`,
		`{"username":"demo"}`:                 `[{"statusCode":"X000","statusMessage":"Some parameters are missing."}]`,
	} {
		if got := qserveAsk(t, address+"/version1/credits", "application/json", body); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	if st := s.Stats(); st.Calls != 0 || st.Requests != 3 {
		t.Errorf("got stats %+v; want Calls 0, Requests 3", st)
	}
}

func TestFault_EachKind(t *testing.T) {
	t.Parallel()
	const body = `{"username":"demo","api_key":"key","phone":"254725656565,254110000002,x","message":"Hello"}`
	row := func(number string) string {
		return `{"recipient":"` + number + `","message":"Hello","statusCode":"Successfully Sent","statusMessage":2}`
	}
	const failed = `{"recipient":"x","message":"Hello","statusCode":"Failed","statusMessage":0}`
	for fault, want := range map[string]string{
		"code_X003": `[{"statusCode":"X003","statusMessage":"Unknown or unvalid user token ."}]`,
		"code_Oops": `[{"statusCode":"Oops","statusMessage":""}]`,
		"missing":   row("254110000002") + "," + failed,
		"shuffled":  failed + "," + row("254110000002") + "," + row("254725656565"),
		"extra":     row("254725656565") + "," + row("254110000002") + "," + failed + "," + row("1"),
	} {
		s, address := start(t, simulator.Options{})
		s.FailNext(1, fault)
		got := qserveAsk(t, address+"/version1/sendsms", "application/json", body)
		if _, rows, found := strings.Cut(got, `"messageDetails":`); found {
			got = strings.TrimSuffix(strings.TrimPrefix(rows, "["), "]}]")
		}
		if got != want {
			t.Errorf("%s: got %s\nwant %s", fault, got, want)
		}
	}
}

// The test sends the sample request of the vendor's page. The first number in it has only 11 digits.
// The expected reply is the sample reply of that page, as valid JSON.
func TestVendorExample_SendOfThePage(t *testing.T) {
	t.Parallel()
	const (
		message, senderID, phone = "Hello world", "254sms", "25472256565,254722998999"
		apikey, username         = "254SMS APIKEY", "254SMS USERNAME"
	)
	s, address := start(t, simulator.Options{Users: map[string]string{username: apikey}, Credit: 8825})
	login := `{"username":"` + username + `","api_key":"` + apikey + `"`
	got := qserveAsk(t, address+"/version1/sendsms", "application/json", login+`,"sender_id":"`+senderID+`","phone":"`+phone+`","message":"`+message+`"}`)
	want := `[{"recipientsCount":2,"statusMessage":"Success","statusCode":101,"Balance":8823,"messageDetails":[` +
		`{"recipient":"25472256565","message":"Hello world","statusCode":"Successfully Sent","statusMessage":2},` +
		`{"recipient":"254722998999","message":"Hello world","statusCode":"Successfully Sent","statusMessage":2}]}]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.SetCredit(345)
	if got := qserveAsk(t, address+"/version1/credits", "application/json", login+"}"); got != `[{"credits":"345","statusCode":101}]` {
		t.Errorf("got the credits %s, want those of the page", got)
	}
}

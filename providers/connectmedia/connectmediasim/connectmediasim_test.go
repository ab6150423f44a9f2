package connectmediasim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
)

// start starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, map[string]simulator.NewVendor{"connectmedia": connectmediasim.New})
}

// connectMediaPost posts a form to the simulator. It returns the code and the other fields of the
// reply.
func connectMediaPost(t *testing.T, address string, form url.Values) (code string, reply map[string]any) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	return connectMediaRead(t, resp)
}

func connectMediaRead(t *testing.T, resp *http.Response) (code string, reply map[string]any) {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got status %d and error %v, want 200 and none", resp.StatusCode, err)
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		return "not JSON", nil
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		t.Fatalf("got reply %s with the error %v, want valid JSON", body, err)
	}
	code, _ = reply["code"].(string)
	delete(reply, "code")
	return code, reply
}

// connectMediaSend returns a valid send request.
func connectMediaSend() url.Values {
	return url.Values{
		"username": {"demo"}, "password": {"pass"}, "action": {"send"}, "to": {"254712345678"}, "sender": {"ACME"}, "message": {"Hello"},
	}
}

func TestSend_AnswersAsDocumented(t *testing.T) {
	t.Parallel()
	good := connectMediaSend()
	for name, tc := range map[string]struct {
		form   url.Values
		change func(*simulator.Gateway)
		query  string
		want   string
	}{
		"good":               {form: good, want: "201"},
		"no sender":          {form: simulatortest.With(good, "sender", ""), want: "201"},
		"11 letters":         {form: simulatortest.With(good, "sender", "ConectMedia"), want: "201"},
		"12 letters":         {form: simulatortest.With(good, "sender", "ConnectMedia"), want: "102"},
		"no message":         {form: simulatortest.With(good, "message", ""), want: "105"},
		"no number":          {form: simulatortest.With(good, "to", ""), want: "104"},
		"two numbers":        {form: simulatortest.With(good, "to", "254712345678,254787654321"), want: "104"},
		"a plus":             {form: simulatortest.With(good, "to", "+254712345678"), want: "104"},
		"the national form":  {form: simulatortest.With(good, "to", "0712345678"), want: "104"},
		"rejected":           {form: good, change: func(d *simulator.Gateway) { _ = d.SetReply(simulator.Reject, 254712345678) }, want: "104"},
		"no credit":          {form: good, change: func(d *simulator.Gateway) { d.SetCredit(0.5) }, want: "101"},
		"wrong password":     {form: simulatortest.With(good, "password", "x"), want: "100"},
		"no user":            {form: simulatortest.With(good, "username", ""), want: "100"},
		"no action":          {form: simulatortest.With(good, "action", ""), want: "103"},
		"another action":     {form: simulatortest.With(good, "action", "Send"), want: "103"},
		"sent to the inbox":  {form: good, query: "api_v2", want: "103"},
		"a query with a =":   {form: good, query: "api=", want: "not JSON"},
		"no query":           {form: good, query: "-", want: "not JSON"},
		"no form":            {want: "103"},
		"balance":            {form: simulatortest.With(good, "action", "balance"), want: "200"},
		"history":            {form: simulatortest.With(good, "action", "history"), want: "202"},
		"inbox":              {form: simulatortest.With(good, "action", "inbox"), query: "api_v2", want: "302"},
		"inbox at api":       {form: simulatortest.With(good, "action", "inbox"), want: "103"},
		"balance at api_v2":  {form: simulatortest.With(good, "action", "balance"), query: "api_v2", want: "103"},
		"balance of another": {form: simulatortest.With(simulatortest.With(good, "action", "balance"), "username", "x"), want: "100"},
	} {
		for _, prefix := range []string{"", "/connectmedia"} {
			s, address := start(t, simulator.Options{Users: map[string]string{"demo": "pass"}})
			d := s.Gateway("connectmedia")
			if tc.change != nil {
				tc.change(d)
			}
			query := tc.query
			if query == "" {
				query = "api"
			}
			address += prefix + "/user-board/?" + query
			code, _ := connectMediaPost(t, strings.TrimSuffix(address, "?-"), tc.form)
			if code != tc.want {
				t.Errorf("%s: got %s, want %s", name, code, tc.want)
			}
			st := d.Stats()
			if (st.Accepted == 1) != (code == "201") || (st.Calls == 1) != (tc.form.Get("action") == "send") {
				t.Errorf("%s: got stats %+v; want Accepted 1 only with code 201, and Calls 1 only for a send", name, st)
			}
			if refused := code == "100" || code == "101" || code == "102" || code == "104" || code == "105"; (st.Rejected == 1) != (refused && st.Calls == 1) {
				t.Errorf("%s: got stats %+v; want Rejected 1 only for a send that a code refuses", name, st)
			}
		}
	}
}

func TestSend_DecodesTheMessageTwice(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	d := s.Gateway("connectmedia")
	for message, want := range map[string]string{
		"Hello": "Hello", "a%20b": "a b", "a+b": "a b", "a%2Bb": "a+b", "100%25+": "100% ", "100% é": "100% é", "%zz%4": "%zz%4", "%E6%BC%A2%F0%9F%98%80": "漢😀", "%": "%",
	} {
		if code, _ := connectMediaPost(t, address+"/user-board/?api", simulatortest.With(connectMediaSend(), "message", message)); code != "201" {
			t.Fatalf("%q: got %s, want 201", message, code)
		}
		if last := d.LastAccepted(); last.Body != want || last.From != "ACME" || len(last.Numbers) != 1 || last.Numbers[0] != 254712345678 {
			t.Errorf("%q: got %+v, want %q", message, last, want)
		}
	}
	connectMediaPost(t, address+"/user-board/?api", simulatortest.With(connectMediaSend(), "sender", ""))
	if from := d.LastAccepted().From; from != "ConectMedia" {
		t.Errorf("got sender %q, want \"ConectMedia\"", from)
	}
	if d.ReplyScope(simulator.Reject) != simulator.ScopeNumber || d.ReplyScope(simulator.Later) != simulator.ScopeNone {
		t.Errorf("got reply scopes %v and %v; want ScopeNumber for Reject, ScopeNone for Later", d.ReplyScope(simulator.Reject), d.ReplyScope(simulator.Later))
	}
}

func TestSend_AcceptsBothFormEncodings(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, values := range connectMediaSend() {
		if err := w.WriteField(name, values[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for contentType, want := range map[string]string{w.FormDataContentType(): "201", "multipart/form-data; boundary=x": "103", "application/json": "103", "": "103"} {
		resp, err := http.Post(address+"/user-board/?api", contentType, bytes.NewReader(body.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := connectMediaRead(t, resp); code != want {
			t.Errorf("%s: got %s, want %s", contentType, code, want)
		}
	}
	if st := s.Stats(); st.Accepted != 1 {
		t.Errorf("got stats %+v; want Accepted 1", st)
	}
}

func TestQuery_HistoryAndInbox(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Credit: 250})
	ask := func(query, action string) map[string]any {
		_, reply := connectMediaPost(t, address+"/user-board/?"+query, simulatortest.With(connectMediaSend(), "action", action))
		return reply
	}
	if reply := ask("api", "history"); len(reply) != 0 {
		t.Errorf("got history %v, want none", reply)
	}
	for i := range 210 {
		connectMediaPost(t, address+"/user-board/?api", simulatortest.With(connectMediaSend(), "message", fmt.Sprint("message ", i)))
	}
	reply := ask("api", "history")
	last, _ := reply["199"].(map[string]any)
	if len(reply) != 200 || last["message_text"] != "message 209" || last["message_id"] != "210" || last["message_date"] != "2016-06-11 06:03:57" ||
		last["message_status"] != "Delivered" || last["message_error"] != "OK" || len(last) != 5 {
		t.Errorf("got a history of %d messages, want 200; the last is %v", len(reply), last)
	}
	if reply := ask("api_v2", "inbox"); len(reply) != 3 || fmt.Sprint(reply["0"]) != "map[message_datetime:2016-06-11 06:00:27 message_from:254712345678 message_text:incoming test message]" {
		t.Errorf("got reply %v, want the code and two messages", reply)
	}
	if reply := ask("api", "balance"); reply["message"] != "40" {
		t.Errorf("got reply %v, want the balance 40", reply)
	}
	_, body := simulatortest.Post(t, address+"/user-board/?api_v2", simulatortest.With(connectMediaSend(), "action", "inbox"))
	if !strings.HasPrefix(body, `{"2":{`) || !strings.Contains(body, `,"code":"302","1":{`) {
		t.Errorf("got %s; want the rows in descending order, with the code after the first one", body)
	}
	s.Reset()
	if reply := ask("api", "history"); len(reply) != 0 {
		t.Errorf("after a reset: got history %v, want none", reply)
	}
}

func TestFault_EachKind(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for fault, want := range map[string]string{"code_101": "101", "code_999": "999", "error_x": "error_x", "missing": "201", "shuffled": "201", "extra": "201"} {
		s.FailNext(1, fault)
		if code, _ := connectMediaPost(t, address+"/user-board/?api", connectMediaSend()); code != want {
			t.Errorf("%s: got code %s, want %s", fault, code, want)
		}
	}
	s.FailNext(1, "code_301") // this fault applies only to the next send
	if code, _ := connectMediaPost(t, address+"/user-board/?api_v2", simulatortest.With(connectMediaSend(), "action", "inbox")); code != "302" {
		t.Errorf("a fault for sends was injected into an inbox request: got code %s, want 302", code)
	}
	if err := s.Fail(simulator.Fault{Name: "code_301", N: 1, Everything: true}); err != nil {
		t.Fatal(err)
	}
	code, reply := connectMediaPost(t, address+"/user-board/?api_v2", simulatortest.With(connectMediaSend(), "action", "inbox"))
	if code != "301" || reply["message"] != "Error in fetching data" {
		t.Errorf("got code %s, reply %v; want 301 with its text", code, reply)
	}
	if st := s.Stats(); st.Accepted != 3 || st.Faults != 7 {
		t.Errorf("got stats %+v; want Accepted 3, Faults 7", st)
	}
}

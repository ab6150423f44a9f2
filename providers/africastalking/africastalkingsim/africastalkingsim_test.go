package africastalkingsim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/africastalking/africastalkingsim"
)

// start starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, map[string]simulator.NewVendor{"africastalking": africastalkingsim.New})
}

const (
	wanja  = "+254711000001"
	otieno = "+254733000002"
	chidi  = "+2348030000000"
)

// atForm returns the form of a valid request to send messages.
func atForm(to ...string) url.Values {
	return url.Values{
		"username": {"demo"}, "to": {strings.Join(to, ",")}, "message": {"Hello"}, "from": {"ACME"}, "bulkSMSMode": {"1"}, "enqueue": {"1"},
	}
}

// atAsk sends a request to the simulator: a POST if the parameter "form" is set, and otherwise a
// GET.
func atAsk(t *testing.T, address string, form url.Values, header ...string) (status int, contentType, body string) {
	t.Helper()
	method, text := http.MethodGet, ""
	if form != nil {
		method, text = http.MethodPost, form.Encode()
	}
	r, err := http.NewRequest(method, address, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("apiKey", "key")
	r.Header.Set("Accept", "application/json")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(read)
}

// atSend sends a form and returns "number code" for each recipient, in the order of the reply.
func atSend(t *testing.T, address string, form url.Values) (said []string) {
	t.Helper()
	status, contentType, body := atAsk(t, address, form)
	var reply struct {
		SMSMessageData struct {
			Message    *string
			Recipients []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 201 || contentType != "application/json" || reply.SMSMessageData.Message == nil || reply.SMSMessageData.Recipients == nil {
		t.Fatalf("got status %d, Content-Type %s, body %s (error %v); want 201 and JSON with Message and Recipients", status, contentType, body, err)
	}
	for _, r := range reply.SMSMessageData.Recipients {
		code := r["statusCode"].(float64)
		id, cost, word := r["messageId"].(string), r["cost"].(string), r["status"].(string)
		if taken := code < 200; taken != regexp.MustCompile(`^ATXid_[0-9a-f]{32}$`).MatchString(id) || taken != (id != "None") || taken != (cost == "KES 1.0000") || taken != (cost != "0") || taken != (word == "Success") {
			t.Errorf("got recipient %v; want an ID, a cost and the status Success only with a code below 200", r)
		}
		said = append(said, fmt.Sprint(r["number"], " ", code))
	}
	return said
}

func TestSend_AnswersForEachNumber(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Users: map[string]string{"demo": "key"}, Credit: 5})
	address += "/africastalking/version1/messaging"
	d := s.Gateway("africastalking")
	for _, w := range []simulator.Reply{simulator.Reject, simulator.Later} {
		if d.ReplyScope(w) != simulator.ScopeNumber {
			t.Errorf("reply scope of %s: got %v, want ScopeNumber", w, d.ReplyScope(w))
		}
	}
	say := func(w simulator.Reply, n uint64) {
		if err := d.SetReply(w, n); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := atSend(t, address, atForm(wanja, otieno, chidi)), []string{chidi + " 102", wanja + " 102", otieno + " 102"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want the reply's own order: %v", got, want)
	}
	if last := d.LastAccepted(); !slices.Equal(last.Numbers, []uint64{254711000001, 254733000002, 2348030000000}) || last.From != "ACME" || last.Body != "Hello" || last.Fields["enqueue"] != "1" || last.Fields["bulkSMSMode"] != "1" {
		t.Errorf("got last call %+v; want its three numbers, sender ACME, text Hello, enqueue 1 and bulkSMSMode 1", last)
	}
	say(simulator.Reject, 254711000001)
	say(simulator.Later, 254733000002)
	say(simulator.Reject, 2348030000000)
	refused := []string{chidi + " 409", wanja + " 403", otieno + " 501"}
	if got := atSend(t, address, simulatortest.With(atForm(wanja, otieno, chidi), "enqueue", "0")); !slices.Equal(got, refused) {
		t.Errorf("got %v, want %v", got, refused)
	}
	say(simulator.Accept, 254711000001)
	say(simulator.Accept, 254733000002)
	say(simulator.Accept, 2348030000000)
	// The remaining credit is two. It covers the first two valid numbers of the call.
	setOption(t, s, "plus", "escaped")
	got := atSend(t, address, simulatortest.With(atForm("254711000001", " 254711000001", "+0711000001", "", "+254711x00001", wanja, otieno, chidi), "enqueue", "0"))
	slices.Sort(got)
	want := []string{" 254711000001 403", " 403", "+0711000001 403", "+2348030000000 405", "+254711000001 101", "+254711x00001 403", "+254733000002 101", "254711000001 403"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if st := d.Stats(); st.Accepted != 5 || st.AcceptedCalls != 2 || st.Rejected != 1 || st.Calls != 3 || st.Credit != 0 {
		t.Errorf("got stats %+v; want Accepted 5, AcceptedCalls 2, Rejected 1, Calls 3, Credit 0", st)
	}
}

// setOption sets an option of the simulator.
func setOption(t *testing.T, s *simulator.Server, name, value string) {
	t.Helper()
	if known, err := africastalkingsim.Of(s).SetOption(name, value); !known || err != nil {
		t.Fatalf("set %s to %s: known %v, error %v; want known and no error", name, value, known, err)
	}
}

func TestSend_UnescapedPlusIsASpaceWithTheOption(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	setOption(t, s, "plus", "escaped")
	resp, err := http.Post(address+"/version1/messaging", "application/x-www-form-urlencoded", strings.NewReader("username=demo&message=Hello&to="+wanja))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized { // http.Post sends no API key
		t.Errorf("got status %d, want 401", resp.StatusCode)
	}
	_, _, body := atAsk(t, address+"/version1/messaging", url.Values{"username": {"demo"}, "message": {"Hello"}, "to": {strings.Replace(wanja, "+", " ", 1)}})
	if !strings.Contains(body, `"number":" 254711000001"`) || !strings.Contains(body, `"statusCode":403`) || s.Stats().Accepted != 0 {
		t.Errorf("got body %s, want the number with its leading space, code 403 and nothing accepted", body)
	}
}

func TestSend_RefusesInvalidParameters(t *testing.T) {
	t.Parallel()
	good := atForm(wanja)
	for name, tc := range map[string]struct {
		form   url.Values
		header []string
		status int
		body   string
	}{
		"good":             {good, nil, 201, `"Sent to 1/1 Total Cost: KES 1.0000 Message parts: 1"`},
		"least":            {url.Values{"username": {"demo"}, "to": {wanja}, "message": {"Hello"}}, nil, 201, `"statusCode":101`},
		"premium":          {simulatortest.With(simulatortest.With(simulatortest.With(simulatortest.With(good, "bulkSMSMode", "0"), "keyword", "k"), "linkId", "l"), "retryDurationInHours", "24"), nil, 201, `"statusCode":102`},
		"wrong key":        {good, []string{"apiKey", "x"}, 401, "The supplied authentication is invalid"},
		"no key":           {good, []string{"apiKey", ""}, 401, "The supplied authentication is invalid"},
		"another user":     {simulatortest.With(good, "username", "x"), nil, 401, "The supplied authentication is invalid"},
		"no user":          {simulatortest.With(good, "username", ""), nil, 400, "'username'"},
		"no to":            {simulatortest.With(good, "to", ""), nil, 400, "'to'"},
		"no message":       {simulatortest.With(good, "message", ""), nil, 400, "'message'"},
		"bulkSMSMode 2":    {simulatortest.With(good, "bulkSMSMode", "2"), nil, 400, "'bulkSMSMode'"},
		"enqueue true":     {simulatortest.With(good, "enqueue", "true"), nil, 400, "'enqueue'"},
		"no hours":         {simulatortest.With(good, "retryDurationInHours", "0"), nil, 400, "'retryDurationInHours'"},
		"twice":            {url.Values{"username": {"demo"}, "to": {wanja, otieno}, "message": {"Hello"}}, nil, 400, "'to'"},
		"JSON":             {good, []string{"Content-Type", "application/json"}, 400, "Content-Type"},
		"a short code":     {simulatortest.With(good, "from", "20414"), nil, 201, `"statusCode":102`},
		"a default sender": {simulatortest.With(good, "from", ""), nil, 201, `"statusCode":102`},
		"12 letters":       {simulatortest.With(good, "from", "ABCDEFGHIJKL"), nil, 201, `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`},
		"a refused sender": {simulatortest.With(good, "from", "Spam"), nil, 201, `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`},
	} {
		s, address := start(t, simulator.Options{Users: map[string]string{"demo": "key"}})
		africastalkingsim.Of(s).RefuseSender("Spam")
		status, contentType, body := atAsk(t, address+"/version1/messaging", tc.form, tc.header...)
		if status != tc.status || !strings.Contains(body, tc.body) || (status == 201) != (contentType == "application/json") {
			t.Errorf("%s: got status %d, Content-Type %s, body %s; want status %d, %q in the body, and JSON only with 201", name, status, contentType, body, tc.status, tc.body)
		}
		taken := int64(0)
		if strings.Contains(body, "ATXid_") {
			taken = 1
		}
		if st := s.Stats(); st.Accepted != taken || st.Rejected != 1-taken {
			t.Errorf("%s: got stats %+v; want Accepted %d, Rejected %d", name, st, taken, 1-taken)
		}
	}
}

func TestReply_XMLUnlessJSONIsAccepted(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	for accept, json := range map[string]bool{"": false, "*/*": false, "application/xml": false, "application/json": true, "application/json; q=1": true} {
		for _, form := range []url.Values{atForm(wanja, "a<b&c"), simulatortest.With(atForm(wanja), "from", "too long a sender"), nil} {
			_, contentType, body := atAsk(t, address+"/version1/messaging?username=demo", form, "Accept", accept)
			if (contentType == "application/json") != json || strings.HasPrefix(body, "{") != json || (contentType == "application/xml") == json || strings.HasPrefix(body, "<?xml") == json {
				t.Errorf("Accept %q: got Content-Type %s, body %s; want JSON %t, otherwise XML", accept, contentType, body, json)
			}
		}
	}
	s.Reset()
	_, _, body := atAsk(t, address+"/version1/messaging", atForm(wanja, "a<b&c"), "Accept", "")
	id := regexp.MustCompile(`ATXid_[0-9a-f]{32}`).FindString(body)
	if want := `<?xml version="1.0"?>` + "\n" + `<AfricasTalkingResponse><SMSMessageData><Message>Sent to 1/2 Total Cost: KES 1.0000 Message parts: 1</Message><Recipients>` +
		`<Recipient><number>a&lt;b&amp;c</number><cost>0</cost><status>InvalidPhoneNumber</status><statusCode>403</statusCode><messageId>None</messageId></Recipient>` +
		`<Recipient><number>+254711000001</number><cost>KES 1.0000</cost><status>Success</status><statusCode>102</statusCode><messageId>` + id + `</messageId></Recipient>` +
		`</Recipients></SMSMessageData></AfricasTalkingResponse>` + "\n"; body != want || id == "" {
		t.Errorf("got %s\nwant %s", body, want)
	}
	_, _, body = atAsk(t, address+"/version1/messaging", simulatortest.With(atForm(wanja), "from", "too long a sender"), "Accept", "")
	if !strings.HasSuffix(body, `<SMSMessageData><Message>InvalidSenderId</Message><Recipients></Recipients></SMSMessageData></AfricasTalkingResponse>`+"\n") {
		t.Errorf("got body %s, want the XML reply InvalidSenderId without recipients", body)
	}
	_, _, body = atAsk(t, address+"/version1/user?username=demo", nil, "Accept", "")
	if !strings.HasSuffix(body, "<AfricasTalkingResponse><UserData><balance>KES 999999999.00</balance></UserData></AfricasTalkingResponse>\n") {
		t.Errorf("got body %s, want the XML reply with a balance of KES 999999999.00", body)
	}
}

func TestQuery_BalanceAndInbox(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Users: map[string]string{"demo": "key"}, Credit: 1785.5})
	for path, want := range map[string]string{
		"user?username=demo": `200 {"UserData":{"balance":"KES 1785.50"}}`,
		"user?username=x":    `401 The supplied authentication is invalid`,
		"user":               `400 Request is missing required query parameter 'username'`,
		"messaging":          `400 Request is missing required query parameter 'username'`,
		"messaging?username=demo&lastReceivedId=x":         `400 The query parameter 'lastReceivedId' was malformed`,
		"messaging?username=demo&lastReceivedId=15080":     `200 {"SMSMessageData":{"Messages":[]}}`,
		"messaging?username=demo&lastReceivedId=15072":     `200 {"SMSMessageData":{"Messages":[{"linkId":"","text":"STOP","to":"28901","id":15080,"date":"2026-03-03T20:15:59.120Z","from":"+2348030000000"}]}}`,
		"messaging?username=x&lastReceivedId=1":            `401 The supplied authentication is invalid`,
		"messaging?username=demo&lastReceivedId=0&more=15": `200 `,
	} {
		status, _, body := atAsk(t, address+"/version1/"+path, nil)
		if got := fmt.Sprint(status, " ", body); got != want && (want != "200 " || strings.Count(body, `"id":`) != 3) {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if st := s.Stats(); st.Calls != 0 || st.Requests != 9 || st.Rejected != 0 {
		t.Errorf("got stats %+v; want Calls 0, Requests 9, Rejected 0", st)
	}
	if status, _, _ := atAsk(t, address+"/version1/user?username=demo", url.Values{}); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
}

func TestFault_EachKind(t *testing.T) {
	t.Parallel()
	both := func(code string) []string { return []string{wanja + code, otieno + code} }
	for fault, want := range map[string][]string{
		"later": both(" 501"), "code_405": both(" 405"), "code_RiskHold": both(" 401"), "code_402": both(" 402"),
		"code_InvalidSenderId": nil, "code_Maintenance": nil, "error_x": nil,
		"shuffled": {wanja + " 102", otieno + " 102"}, "missing": {wanja + " 102"},
		"extra": {otieno + " 102", wanja + " 102", "+254711000002 102"},
	} {
		s, address := start(t, simulator.Options{})
		address += "/version1/messaging"
		s.FailNext(1, fault)
		if got := atSend(t, address, atForm(wanja, otieno)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", fault, got, want)
		}
		taken := int64(0)
		if fault == "shuffled" || fault == "missing" || fault == "extra" {
			taken = 2
		}
		if st := s.Stats(); st.Accepted != taken || st.Faults != 1 || st.Calls != 1 {
			t.Errorf("%s: got stats %+v; want Accepted %d, Faults 1, Calls 1", fault, st, taken)
		}
		if got := atSend(t, address, atForm(wanja, otieno)); !slices.Equal(got, []string{otieno + " 102", wanja + " 102"}) {
			t.Errorf("after the fault: got %v, want both numbers with 102", got)
		}
	}
	s, address := start(t, simulator.Options{})
	if err := s.Fail(simulator.Fault{Name: "code_Oops", N: 1, Everything: true}); err != nil {
		t.Fatal(err)
	}
	if status, _, body := atAsk(t, address+"/version1/user?username=demo", nil); status != 500 || body != "Oops" {
		t.Errorf("got %d %s, want 500 Oops", status, body)
	}
}

func TestMessageID_Distinct(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{Seed: 7})
	var to []string
	for i := range 200 {
		to = append(to, fmt.Sprintf("+%d", 254711000000+i))
	}
	ids := map[string]bool{}
	for range 3 {
		_, _, body := atAsk(t, address+"/version1/messaging", atForm(to...))
		for _, id := range regexp.MustCompile(`ATXid_[0-9a-f]{32}`).FindAllString(body, -1) {
			ids[id] = true
		}
	}
	if st := s.Stats(); len(ids) != 600 || st.Accepted != 600 || st.Duplicates != 400 {
		t.Errorf("got %d distinct IDs, want 600; stats %+v", len(ids), st)
	}
}

// pageCurl is the example of a send on the vendor's page. XXXYYY and YYYZZZ stand for digits. On the
// page, the URL at the end of the command is missing.
const pageCurl = `curl -v -H "Accept: application/xml" -d "username=myusername&message=hello test&to=+254711XXXYYY,+254733YYYZZZ" -H "Apikey:fb752d3417021812f0961y6c9464832dd1adb1`

func TestVendorExample_CurlOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../testdata/page.txt")
	if err != nil || !strings.Contains(string(page), pageCurl) {
		t.Fatalf("the vendor's page does not have the example (%v)", err)
	}
	_, data, _ := strings.Cut(pageCurl, `-d "`)
	data, _, _ = strings.Cut(data, `"`)
	data = strings.NewReplacer("XXXYYY", "000001", "YYYZZZ", "000002").Replace(data)
	for option, want := range map[string]int{"as_sent": 2, "escaped": 0} {
		s, address := start(t, simulator.Options{})
		setOption(t, s, "plus", option)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/version1/messaging", strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d sends it
		r.Header.Set("Accept", "application/xml")
		r.Header.Set("Apikey", "fb752d34")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if accepted := strings.Count(string(body), "<status>Success</status>"); err != nil || resp.StatusCode != http.StatusCreated || accepted != want {
			t.Errorf("plus=%s: got status %d, error %v and %s; want 201 with %d accepted", option, resp.StatusCode, err, body, want)
		}
		if last := s.Gateway("africastalking").LastAccepted(); want > 0 && (last.From != "20414" || last.Body != "hello test" || !slices.Equal(last.Numbers, []uint64{254711000001, 254733000002})) {
			t.Errorf("plus=%s: got the message %+v, want the page's default sender 20414, its text and both numbers", option, last)
		}
	}
	s, _ := start(t, simulator.Options{})
	if known, err := africastalkingsim.Of(s).SetOption("plus", "x"); !known || err == nil {
		t.Errorf("plus=x: got known %v and the error %v, want an error", known, err)
	}
}

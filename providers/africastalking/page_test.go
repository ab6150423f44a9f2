package africastalking

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

// notOffered has each line of the vendor's page that the package does not implement. The value is the
// reason.
var notOffered = map[string]string{
	"Example using CURL client": "a heading; the next two lines of this table give the reasons",
	`curl -v -H "Accept: application/xml" -d "username=myusername&message=hello test&to=+254711XXXYYY,+254733YYYZZZ" ` +
		`-H "Apikey:fb752d3417021812f0961y6c9464832dd1adb1`: "the + of the number is not escaped, and arrives as a space",
	`e555c73f1e7c32bcc006488674" -X POST --insecure`: "the option disables the verification of certificates",
	"Send messages via url call":                     "the login would be in a URL",
	"Our APIs allows a sender to send messages by opening a URL link. That's how easy it is to send a message.": "the login would be in a URL",
	"The response is in XML format. see the xml response here":                                                  "about a send by URL, where the login would be in the URL; replies in XML are read",
}

// The map "offered" has each line of the vendor's page that is not in notOffered. It maps the line to the
// name of the code that implements the line.
var offered = map[string]string{
	`<?xml version="1.0"?>`: "Config.Format; the package reads replies in both formats",
	"You need your AfricasTalking username and APIKey for any request to our API. If you don't have an APIKey, " +
		"you can generate one from your applications settings page.": "Config.Username, Config.APIKey",
	"# send to a single user love code": "Batch.To",
	"# send to many users: comma-separate numbers as shown,+254733YYYZZZ&message=We love code": "Batch.To",
	"# for sender id love code":                         "Batch.From",
	"# for short code love code":                        "Batch.From",
	"# from parameter is optional love code":            "Info.SenderOptional",
	"Sending a Message":                                 "Send",
	"Sending messages: Use short code/Sender id":        "Batch.From",
	"Sending messages: Queue messages to be sent later": "Options.Enqueue",
	"Sending premium rated (subscription) messages":     "SendWith",
	"# set bulkSMSMode flag to 0 daily quote":           "Options.BulkSMSMode",
}

// The map "elsewhere" has each code of the package that is not on the vendor's page. The value is the
// source of the code.
var elsewhere = map[int]string{409: "public code and the vendor's later documents: DoNotDisturbRejection"}

var (
	parameterLine = regexp.MustCompile(`^(API key|\S+) (Header|Body) .+ (?:Yes|No|No \(.+\))$`)
	fieldLine     = regexp.MustCompile(`^(number|cost|statusCode|messageId) (?:The|This) `)
	codeLine      = regexp.MustCompile(`^  • (\d+): (\w+)$`)
	sampleLine    = regexp.MustCompile(`^ +"(\w+)": ?(?:[{\[]|".*",?|\d+,?)$`)
	xmlLine       = regexp.MustCompile(`^ +<(\w+)>.+</\w+>$`)
)

// TestVendorPage_EveryParameterAndCodeIsKnown reads the vendor's page line by line. It fails for a line that
// is neither in the map "offered" nor in the map "notOffered". It also fails for a code of the package that
// is neither on the vendor's page nor in the map "elsewhere".
func TestVendorPage_EveryParameterAndCodeIsKnown(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	header, form := fullRequest(t)
	described, describedXML := readableFields(t), readableElements(t)
	var found []int
	for line := range strings.Lines(string(page)) {
		line = strings.TrimRight(line, "\n")
		if m := parameterLine.FindStringSubmatch(line); m != nil {
			name, place := m[1], m[2]
			if name == "API key" {
				name = "apiKey"
			}
			if place == "Header" && header.Get(name) == "" || place == "Body" && !form.Has(name) {
				t.Errorf("no request has the parameter %s, want it in the header or body that the vendor's page names", name)
			}
			continue
		}
		if m := codeLine.FindStringSubmatch(line); m != nil {
			code, _ := strconv.Atoi(m[1])
			found = append(found, code)
			if w, ok := codes[code]; !ok || w.name != m[2] || w.Outcome == providers.Unknown {
				t.Errorf("code %d %s: got the meaning %+v, want the same name and an outcome other than unknown", code, m[2], w)
			}
			continue
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil {
			m = sampleLine.FindStringSubmatch(line)
		}
		inXML := xmlLine.FindStringSubmatch(line)
		switch {
		case inXML != nil:
			if !slices.Contains(describedXML, inXML[1]) {
				t.Errorf("the parser ignores the element %s of an XML reply", inXML[1])
			}
		case m != nil:
			if !slices.Contains(described, m[1]) {
				t.Errorf("the parser ignores the field %s of a reply", m[1])
			}
		case line == "", line == "Parameter Location Description Required", line == "Parameter Description",
			strings.HasPrefix(line, "The body of the response will be a JSON or XML object named SMSMessageData"):
		case notOffered[line] == "" && offered[line] == "":
			t.Errorf("the line %q is neither in offered nor in notOffered", line)
		}
	}
	checkCodes(t, found)
}

// checkCodes compares the codes of the vendor's page with the codes of the package.
func checkCodes(t *testing.T, found []int) {
	t.Helper()
	for code := range codes {
		if elsewhere[code] == "" && !slices.Contains(found, code) {
			t.Errorf("code %d is neither on the vendor's page nor in elsewhere", code)
		}
	}
	if len(found) != 13 {
		t.Errorf("got %d codes on the vendor's page, want 13", len(found))
	}
	for code := range elsewhere {
		if slices.Contains(found, code) {
			t.Errorf("code %d is now on the vendor's page; remove it from elsewhere", code)
		}
	}
}

// fullRequest returns a request with every parameter.
func fullRequest(t *testing.T) (header http.Header, form url.Values) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		header, form = r.Header, r.PostForm
	}))
	p := account(t, web.URL)
	_, _ = p.SendWith(context.Background(), batch(one), Options{Keyword: "k", LinkID: "l", RetryDurationInHours: 1})
	web.Close() // Close waits until the handler has returned
	return header, form
}

// readableFields returns the names of those fields in a JSON reply that influence the parser's result.
func readableFields(t *testing.T) []string {
	t.Helper()
	const good = `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[{"number":"+254711000001","cost":"KES 1","statusCode":102,"status":"Success","messageId":"ATXid_1"}]}}`
	read := map[string]string{
		"SMSMessageData": strings.Replace(good, "SMSMessageData", "x", 1),
		"Recipients":     strings.Replace(good, "Recipients", "x", 1),
		"number":         strings.Replace(good, "number", "x", 1),
		"cost":           strings.Replace(good, "cost", "x", 1),
		"statusCode":     strings.Replace(good, "102", "403", 1),
		"messageId":      strings.Replace(good, "messageId", "x", 1),
		"status":         strings.Replace(good, "Success", "RiskHold", 1),
	}
	whole, _ := parseAnswer([]byte(good), nums(one))
	for name, changed := range read {
		if got, _ := parseAnswer([]byte(changed), nums(one)); slices.Equal(got, whole) {
			t.Errorf("the field %s has no influence on the result, want some", name)
		}
	}
	if _, e := parseAnswer([]byte(`{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`), nums(one)); e == nil {
		t.Error("the field Message has no influence on the result, want an error for InvalidSenderId")
	}
	return append(slices.Collect(maps.Keys(read)), "Message")
}

// readableElements returns the names of those elements in an XML reply that influence the parser's result.
func readableElements(t *testing.T) []string {
	t.Helper()
	refused := strings.Replace(xmlReply(), "Sent to 1/1 Total Cost: KES 0.8000", "InvalidSenderId", 1)
	row := xmlRow("+254711000001", "102", "RiskHold", idA)
	read := []string{"AfricasTalkingResponse", "SMSMessageData", "Recipients", "Recipient", "number", "cost", "status", "statusCode", "messageId", "Message"}
	for _, name := range read {
		good := xmlReply(strings.Replace(row, "RiskHold", "Success", 1))
		changed := strings.NewReplacer("<"+name+">", "<x>", "</"+name+">", "</x>").Replace(good)
		switch name {
		case "status", "statusCode": // in "row" these two fields contradict each other, so the result changes if one of them is missing
			good = xmlReply(row)
			changed = strings.NewReplacer("<"+name+">", "<x>", "</"+name+">", "</x>").Replace(good)
		case "Message": // the parser uses Message only in a reply without recipients
			good = refused
			changed = strings.NewReplacer("<Message>", "<x>", "</Message>", "</x>").Replace(good)
		}
		got, e := parseAnswer([]byte(changed), nums(one))
		whole, wholeError := parseAnswer([]byte(good), nums(one))
		if slices.Equal(got, whole) && (e == nil) == (wholeError == nil) {
			t.Errorf("the XML element %s has no influence on the result, want some", name)
		}
	}
	return read
}

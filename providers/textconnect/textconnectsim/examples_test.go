package textconnectsim_test

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// These are the examples of the vendor's page, word for word. On that page, the beginning of each
// address is missing. In the list of contacts, the line of a contact without a name is missing.
const (
	exampleSend     = "[Your Number]&SourceAddress=API&Body=Hello%20World"
	exampleStatus   = "[Your Message ID]"
	exampleUser     = "[Child Username]&ChildPassword=[Child Password]&AccessLevel=Normal&FirstName=[User’s First Name]&LastName=[User’s Last Name]&Email=[User’s Email]&Credits=5"
	exampleCredits  = "[Child Username]&Quantity=5"
	exampleContacts = "Contact 1,447777777771,,group1\nContact 2,447777777772,\nContact 3,447777777773,,group1,group2,group3\n"
	exampleLast     = "Contact 5,mynumber,,group3"
	exampleAnswer   = "1 : Success\n2 : Success\n3 : Success\n4 : Failed\n5 : Failed\n\n\n4 : No name\n5 : Invalid number (mynumber)"
)

func TestVendorExample_GetURLs(t *testing.T) {
	t.Parallel()
	_, address := start(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
	get := func(action, rest string) string {
		t.Helper()
		resp, err := http.Get(address + "/api?Token=demopass&Action=" + action + rest)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got status %d and the error %v, want 200", action, resp.StatusCode, err)
		}
		return string(body)
	}
	fill := strings.NewReplacer("[Your Number]", ann, "[Child Username]", "kid", "[Child Password]", "x", "[User’s First Name]", "A", "[User’s Last Name]", "B", "[User’s Email]", "a%40example.com")
	id := get("Send", "&DestinationAddress="+fill.Replace(exampleSend))
	if n, err := strconv.Atoi(id); err != nil || n <= 0 {
		t.Errorf("the example of a send: got %q, want a message ID", id)
	}
	if got := get("CheckMessageStatus", "&MessageID="+strings.Replace(exampleStatus, "[Your Message ID]", id, 1)); got != "Delivered" {
		t.Errorf("the example of a status: got %q, want Delivered", got)
	}
	if got := get("CheckCredits", ""); got != "999999999" {
		t.Errorf("the example of the credits: got %q, want one less than at the start", got)
	}
	if got := get("CreateUser", "&ChildUsername="+fill.Replace(exampleUser)); got != "1" {
		t.Errorf("the example of a new user: got %q, want 1", got)
	}
	if got := get("UpdateCredits", "&ChildUsername="+fill.Replace(exampleCredits)); got != "1" {
		t.Errorf("the example of more credits: got %q, want 1", got)
	}
	got := get("ImportContactsCSV", "&ContactsCSV="+url.QueryEscape(exampleContacts+",447777777774\n"+exampleLast))
	if got := strings.TrimSpace(strings.ReplaceAll(got, "\r\n", "\n")); got != exampleAnswer {
		t.Errorf("the example of an import: got\n%s\nwant\n%s", got, exampleAnswer)
	}
	for _, action := range []string{"DeleteAllContacts", "DeleteAllGroups"} {
		if got := get(action, ""); got != "1" {
			t.Errorf("%s: got %q, want 1", action, got)
		}
	}
}

func TestOption_ValidityPeriodIsRequired(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	without := tcSend(ann)
	without.Del("ValidityPeriod")
	sim := textconnectsim.Of(s)
	if known, err := sim.SetOption("validity", "x"); !known || err == nil {
		t.Errorf("validity=x: got known %v and the error %v, want an error", known, err)
	}
	if _, err := sim.SetOption("validity", "required"); err != nil {
		t.Fatal(err)
	}
	if got := ask(without); got != "-405" {
		t.Errorf("got %q, want -405", got)
	}
	if got := ask(tcSend(ann)); got[0] == '-' {
		t.Errorf("with ValidityPeriod: got %q, want an ID", got)
	}
}

package textconnect

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

// The function "act" performs the named action, after Check has accepted the parameters.
func act(t testing.TB, p providers.Provider, name string, in map[string]string) (providers.Table, error) {
	t.Helper()
	list := Kind().Actions
	i := slices.IndexFunc(list, func(a providers.Action) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("got no action %s, want one", name)
	}
	if err := list[i].Check(in); err != nil {
		t.Fatalf("Check of %s: %v", name, err)
	}
	return list[i].Do(t.Context(), p, in)
}

var ann = User{Username: "ann", Password: "hunter2", FirstName: "Ann", LastName: "Lee", Email: "ann@example.com"}

// The map "administration" has the administrative methods, to which the gateway answers 1 on success.
// Each entry has the form that the method must send.
var administration = map[string]struct {
	do   func(context.Context, *Provider) error
	want url.Values
}{
	"CreateUser": {
		func(ctx context.Context, p *Provider) error { return p.CreateUser(ctx, ann) },
		url.Values{
			"ChildUsername": {"ann"}, "ChildPassword": {"hunter2"}, "AccessLevel": {"Normal"}, "FirstName": {"Ann"}, "LastName": {"Lee"},
			"Email": {"ann@example.com"}, "Credits": {"0"},
		},
	},
	"UpdateCredits": {
		func(ctx context.Context, p *Provider) error { return p.UpdateCredits(ctx, "ann", -12.5) },
		url.Values{"ChildUsername": {"ann"}, "Quantity": {"-12.5"}},
	},
	"DeleteAllContacts": {func(ctx context.Context, p *Provider) error { return p.DeleteAllContacts(ctx) }, url.Values{}},
	"DeleteAllGroups":   {func(ctx context.Context, p *Provider) error { return p.DeleteAllGroups(ctx) }, url.Values{}},
	"EmptyGroup":        {func(ctx context.Context, p *Provider) error { return p.EmptyGroup(ctx, "Staff & co") }, url.Values{"Group": {"Staff & co"}}},
	"DeleteGroup":       {func(ctx context.Context, p *Provider) error { return p.DeleteGroup(ctx, "Staff") }, url.Values{"Group": {"Staff"}}},
}

func TestAdmin_EveryMethodAndItsErrors(t *testing.T) {
	t.Parallel()
	for action, deed := range administration {
		op := "textconnect " + action
		p, s := answering(t, 200, "1\r\n")
		if err := deed.do(t.Context(), p); err != nil {
			t.Errorf("%s: got the error %v, want none", action, err)
		}
		want := url.Values{"Action": {action}}
		for field, value := range deed.want {
			want[field] = value
		}
		s.asks(t, action, want)

		for body, want := range map[string]string{
			"-507\nMissing": "rejected call refused -507", "-511": "retryable account gateway -511", "-300": "unknown call gateway -300",
			"-999": "unknown call not_understood -999", "0": "unknown call not_understood http 200", "11": "unknown call not_understood http 200",
			"": "unknown call not_understood http 200", "<html>1": "unknown call not_understood http 200", "-414": "rejected call refused -414",
			"-509": "rejected call refused -509", "-411": "rejected call refused -411",
		} {
			p, s := answering(t, 200, body)
			if e := verdict(t, deed.do(t.Context(), p)); e.Op != op || summary(e) != want || len(s.asked) != 1 {
				t.Errorf("%s, %q: got %s, want %s", action, body, summary(e), want)
			}
		}
	}
}

func TestCreateUser_EveryField(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "1")
	u := ann
	u.AccessLevel, u.Telephone, u.Credits, u.CreditReminder, u.Alert = AccessAdmin, "01234 567890", 5, 0.5, 30
	if err := p.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	s.asks(t, "all", url.Values{
		"Action": {"CreateUser"}, "ChildUsername": {"ann"}, "ChildPassword": {"hunter2"}, "AccessLevel": {"Admin"}, "FirstName": {"Ann"}, "LastName": {"Lee"},
		"Email": {"ann@example.com"}, "Telephone": {"01234 567890"}, "Credits": {"5"}, "CreditReminder": {"0.5"}, "Alert": {"30"},
	})
}

func TestCreateUser_ErrorDoesNotShowThePassword(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("because ", 1000)
	for name, tc := range map[string]struct{ password, lines, want string }{
		"explained":       {"hunter2", "Username is taken\r\nEmail is not valid", "Username is taken Email is not valid"},
		"the password":    {"hunter2", "Password hunter2 is weak", "Password [secret] is weak"},
		"escaped":         {"hunter&<2>", "Password hunter&amp;&lt;2&gt; or hunter%26%3C2%3E is weak", "Password [secret] or [secret] is weak"},
		"upper case":      {"hunter2", "Password HUNTER2 is weak", "error creating user"},
		"over two lines":  {"hunter2", "Password hun\nter2 is weak", "error creating user"},
		"the token":       {"hunter2", "Token " + token + " belongs to a user", "Token [secret] belongs to a user"},
		"a number":        {"hunter2", "Telephone 447777777771 or +44 7777 777771 is taken", "Telephone 4477****7771 or +4477****7771 is taken"},
		"far too long":    {"hunter2", long, "error creating user"},
		"long":            {"hunter2", long[:1000], strings.TrimSpace(long[:200])},
		"no text":         {"hunter2", "", "error creating user"},
		"signs":           {"hunter2", "not\x00 valid\x1b[31m", "not valid [31m"},
		"not in UTF-8":    {"hunter2", "caf\xe9", "caf"},
		"a one-sign word": {"a", "a bad password", "[secret] b[secret]d p[secret]ssword"},
	} {
		p, _ := answering(t, 200, "-508\n"+tc.lines)
		u := ann
		u.Password = providers.Secret(tc.password)
		err := p.CreateUser(t.Context(), u)
		want := "textconnect CreateUser: rejected, refused (-508): " + tc.want
		if err == nil || strings.TrimSpace(err.Error()) != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestAdmin_InvalidArgumentsMakeNoRequest(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "1")
	user := func(change func(*User)) error {
		u := ann
		change(&u)
		return p.CreateUser(t.Context(), u)
	}
	for name, err := range map[string]error{
		"no username":            user(func(u *User) { u.Username = "" }),
		"no password":            user(func(u *User) { u.Password = "" }),
		"no first name":          user(func(u *User) { u.FirstName = "" }),
		"no last name":           user(func(u *User) { u.LastName = "" }),
		"no email":               user(func(u *User) { u.Email = "" }),
		"odd access":             user(func(u *User) { u.AccessLevel = "Root" }),
		"negative credits":       user(func(u *User) { u.Credits = -1 }),
		"credits no number":      user(func(u *User) { u.Credits = math.NaN() }),
		"endless credits":        user(func(u *User) { u.Credits = math.Inf(1) }),
		"negative reminder":      user(func(u *User) { u.CreditReminder = -1 }),
		"negative alert":         user(func(u *User) { u.Alert = -1 }),
		"credits without a user": p.UpdateCredits(t.Context(), "", 5),
		"nothing to move":        p.UpdateCredits(t.Context(), "ann", 0),
		"no number to move":      p.UpdateCredits(t.Context(), "ann", math.NaN()),
		"too much to move":       p.UpdateCredits(t.Context(), "ann", math.Inf(-1)),
		"empty no group":         p.EmptyGroup(t.Context(), ""),
		"delete no group":        p.DeleteGroup(t.Context(), ""),
	} {
		if e := verdict(t, err); e.Outcome != providers.Rejected || e.Scope != providers.Call {
			t.Errorf("%s: got %+v, want rejected with scope call", name, e)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want 0", len(s.asked))
	}
}

const contacts = "Contact 1,447777777771,,group1\nContact 2,447777777772,\n,447777777773,,group1,group2,group3\nContact 5,mynumber,,group3"

func TestImportContacts_LinesAndErrors(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "1 : Success\r\n2 : Duplicate Number\r\n3 : Failed\r\n4 : Partial\r\n\r\n\r\n3 : No name\r\n4 : Invalid number (mynumber)\r\n4 : No group\r\nSorry\r\n")
	got, err := p.ImportContactsCSV(t.Context(), strings.ReplaceAll(contacts, "\n", "\r\n")+"\r\n", ImportOptions{IgnoreDupes: true, OverwriteDupes: true})
	want := []ImportedLine{
		{1, "Success", ""}, {2, "Duplicate Number", ""}, {3, "Failed", "No name"}, {4, "Partial", "Invalid number (mynumber); No group"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	s.asks(t, "all", url.Values{"Action": {"ImportContactsCSV"}, "ContactsCSV": {contacts}, "IgnoreDupes": {"1"}, "OverwriteDupes": {"1"}})

	const not = "unknown call not_understood http 200"
	for body, want := range map[string]string{
		"-507": "rejected call refused -507", "-511\n\n": "retryable account gateway -511", "-303": "unknown call gateway -303",
		"": not, "1": not, "1 : Success": not, "1 : Success\n2 : Success\n3 : Success": not, "1 : Success\n2 : Success\n2 : Success": not, "1 : Success\n3 : Success": not,
		"0 : Success\n1 : Success": not, "1 : Success\n2 : Odd": not, "1 : Success\n2 Success": not, "1 : success\n2 : Success": not, "1 : Success\n\n2 : Success": not,
		"<html>\n</html>": not, "1 : Success\n99999999999999999999 : Success": not, "1 : Success\n2 : ": not,
	} {
		p, _ := answering(t, 200, body)
		got, err := p.ImportContactsCSV(t.Context(), "A,1\nB,2", ImportOptions{})
		if e := verdict(t, err); e.Op != "textconnect ImportContactsCSV" || summary(e) != want || got != nil {
			t.Errorf("%q: got %v %s, want %s", body, got, summary(e), want)
		}
	}
	p, s = answering(t, 200, "2 : Success\n1 : Duplicate Name")
	got, err = p.ImportContactsCSV(t.Context(), "A,1\nB,2\n", ImportOptions{})
	if diff := cmp.Diff([]ImportedLine{{1, "Duplicate Name", ""}, {2, "Success", ""}}, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	s.asks(t, "bare", url.Values{"Action": {"ImportContactsCSV"}, "ContactsCSV": {"A,1\nB,2"}})
	for _, none := range []string{"", "\n", "A,1\n\nB,2", "A,1\n \nB,2", "\nA,1"} {
		_, err := p.ImportContactsCSV(t.Context(), none, ImportOptions{})
		if diff := cmp.Diff(refusedLocally("textconnect ImportContactsCSV", providers.Call), verdict(t, err)); diff != "" || len(s.asked) != 0 {
			t.Errorf("%q: (-want +got):\n%s", none, diff)
		}
	}
}

func FuzzParseImport(f *testing.F) {
	for _, seed := range []string{"1 : Success\n2 : Failed\n3 : Partial\n\n\n2 : No name", "3 : Success\n2 : Success\n1 : Duplicate Name", "-507", "1 : Success\n\n", "1 : Success\n2 : Failed\n2 : Failed"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, ok := parseImport(body, 3)
		if !ok {
			if lines != nil {
				t.Fatalf("%q: not understood, but got the lines %v, want none", body, lines)
			}
			return
		}
		if len(lines) != 3 {
			t.Fatalf("%q: got the lines %v, want 3", body, lines)
		}
		for i, l := range lines {
			if l.Line != i+1 || !slices.Contains(importResults, l.Result) || !strings.Contains(string(body), l.Result) {
				t.Fatalf("%q: got the line %+v, want the next number and a known result from the body", body, l)
			}
		}
	})
}

func TestAction_EqualsItsMethod(t *testing.T) {
	t.Parallel()
	message := func(field, name string) map[string]string {
		return map[string]string{
			field: name, "SourceAddress": "ACME", "Body": "Hello", "ScheduleDate": "20260701133045", "SourceTON": "1", "ValidityPeriod": "60",
		}
	}
	none := providers.Table{}
	for name, tc := range map[string]struct {
		in     map[string]string
		answer string
		want   providers.Table
	}{
		"CreateUser": {map[string]string{
			"ChildUsername": "ann", "ChildPassword": "hunter2", "AccessLevel": "Admin", "FirstName": "Ann", "LastName": "Lee", "Email": "a@example.com",
			"Telephone": "1", "Credits": "5", "CreditReminder": "2.5", "Alert": "7",
		}, "1", none},
		"UpdateCredits":     {map[string]string{"ChildUsername": "ann", "Quantity": "-5"}, "1", none},
		"ImportContactsCSV": {map[string]string{"ContactsCSV": "A,1", "IgnoreDupes": "1", "OverwriteDupes": "1"}, "1 : Failed\n\n1 : No", providers.Table{Columns: []string{"line", "result", "detail"}, Rows: [][]string{{"1", "Failed", "No"}}}},
		"DeleteAllContacts": {nil, "1", none},
		"DeleteAllGroups":   {nil, "1", none},
		"EmptyGroup":        {map[string]string{"Group": "Staff"}, "1", none},
		"DeleteGroup":       {map[string]string{"Group": "Staff"}, "1", none},
		"SendList":          {message("ListName", "L"), "17,18", providers.Table{Columns: []string{"BGSendID"}, Rows: [][]string{{"17"}, {"18"}}}},
		"SendGroup":         {message("GroupName", "G"), "1", providers.Table{Columns: []string{"BGSendID"}}},
		"Send": {map[string]string{
			"DestinationAddress": "447777777777", "SourceAddress": "ACME", "Body": "Hello", "ScheduleDate": "20260701133045", "GetAllMessageIDs": "1",
		}, "3509592,3509593", providers.Table{Columns: []string{"DestinationAddress", "outcome", "MessageID", "further IDs", "code"},
			Rows: [][]string{{"447777777777", "accepted", "3509592", "3509593", ""}}}},
		"GetBGMessages": {map[string]string{"BGSendID": "17"}, `[{"MessageID":"3509592","Destination":"447777777777","Status":"Sent"}]`,
			providers.Table{Columns: []string{"MessageID", "Destination", "Status"}, Rows: [][]string{{"3509592", "447777777777", "Sent"}}}},
	} {
		p, s := answering(t, 200, tc.answer)
		got, err := act(t, p, name, tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: got the error %v (-want +got):\n%s", name, err, diff)
		}
		form := s.form(t)
		for field, value := range tc.in { // parameters and form fields have the same names
			if form.Get(field) != value {
				t.Errorf("%s: the form has %s=%q, want the value of the parameter", name, field, form.Get(field))
			}
		}
		p, _ = answering(t, 200, "-501")
		if _, err := act(t, p, name, tc.in); verdict(t, err).Cause != providers.CauseCredentials {
			t.Errorf("%s: got the error %v, want the cause credentials", name, err)
		}
	}
}

func TestAction_DeleteAndSendNeedConfirmation(t *testing.T) {
	t.Parallel()
	for _, a := range Kind().Actions {
		var says string
		switch {
		case strings.HasPrefix(a.Name, "Delete"), strings.HasPrefix(a.Name, "Empty"):
			says = "permanently"
		case strings.HasPrefix(a.Name, "Send"):
			says = "Tuma keeps no record"
		}
		if (a.Confirm != "") != (says != "") || !strings.Contains(a.Confirm, says) || a.Does == "" {
			t.Errorf("%s: got the description %q and the confirmation %q, want a description and the confirmation of the case", a.Name, a.Does, a.Confirm)
		}
		_, err := a.Do(t.Context(), stranger{}, nil)
		if e := verdict(t, err); e.Op != "textconnect "+a.Name || e.Outcome != providers.Rejected {
			t.Errorf("%s with a provider of another gateway: got %+v, want rejected", a.Name, e)
		}
	}
}

type stranger struct{}

func (stranger) Info() providers.Info { return providers.Info{} }
func (stranger) Send(context.Context, providers.Batch) ([]providers.Result, error) {
	return nil, nil
}

func TestAction_InvalidParametersMakeNoRequest(t *testing.T) {
	t.Parallel()
	p, s := answering(t, 200, "1")
	create := map[string]string{
		"ChildUsername": "ann", "ChildPassword": "hunter2", "AccessLevel": "Normal", "FirstName": "Ann", "LastName": "Lee", "Email": "e", "Credits": "5",
	}
	send := map[string]string{"ListName": "L", "SourceAddress": "ACME", "Body": "Hello"}
	numbers := map[string]string{"DestinationAddress": "447777777771", "SourceAddress": "ACME", "Body": "Hello"}
	with := func(in map[string]string, name, value string) map[string]string {
		changed := map[string]string{name: value}
		for k, v := range in {
			if k != name {
				changed[k] = v
			}
		}
		return changed
	}
	for i, tc := range []struct {
		action string
		in     map[string]string
	}{
		{"CreateUser", with(create, "Credits", "many")}, {"CreateUser", with(create, "Credits", "1e3")}, {"CreateUser", with(create, "CreditReminder", "x")},
		{"CreateUser", with(create, "Alert", "1.5")}, {"CreateUser", with(create, "Alert", "-1")}, {"CreateUser", with(create, "AccessLevel", "Root")},
		{"UpdateCredits", map[string]string{"ChildUsername": "ann", "Quantity": "all"}}, {"UpdateCredits", map[string]string{"ChildUsername": "ann", "Quantity": "0"}},
		{"ImportContactsCSV", map[string]string{"ContactsCSV": "A,1", "IgnoreDupes": "true"}}, {"ImportContactsCSV", map[string]string{"ContactsCSV": "A,1", "OverwriteDupes": "x"}},
		{"SendList", with(send, "ScheduleDate", "tomorrow")}, {"SendList", with(send, "ScheduleDate", "20261301000000")}, {"SendList", with(send, "SourceTON", "2")},
		{"SendList", with(send, "SourceTON", "x")}, {"SendList", with(send, "ValidityPeriod", "86401")}, {"SendList", with(send, "ValidityPeriod", "0")},
		{"SendList", with(send, "ValidityPeriod", fmt.Sprint(math.MaxInt64))}, {"Send", with(numbers, "DestinationAddress", "12")}, {"Send", with(numbers, "DestinationAddress", "List")},
		{"Send", with(numbers, "GetAllMessageIDs", "yes")}, {"Send", with(numbers, "SourceAddress", "TwelveLetter")},
		{"Send", with(map[string]string{"DestinationAddress": "447777777771,447777777772", "SourceAddress": "ACME", "Body": "Hello"}, "GetAllMessageIDs", "1")},
	} {
		_, err := act(t, p, tc.action, tc.in)
		if e := verdict(t, err); e.Outcome != providers.Rejected || e.Scope != providers.Call || e.Cause != providers.CauseRefused {
			t.Errorf("case %d, %s: got %+v, want rejected, call, refused", i, tc.action, e)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want 0", len(s.asked))
	}
}

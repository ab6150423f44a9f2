package textconnectsim_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/simulator/simulatortest"
	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// The function "start" starts a server for the simulator. It returns the server and its address.
func start(t testing.TB, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, o, map[string]simulator.NewVendor{"textconnect": textconnectsim.New})
}

const ann, bob, cat = "447777777771", "447777777772", "447777777773"

func tcSend(to ...string) url.Values {
	return url.Values{
		"Token": {"demopass"}, "Action": {"Send"}, "DestinationAddress": {strings.Join(to, ",")}, "SourceAddress": {"Testing"}, "Body": {"Hello"},
		"ValidityPeriod": {"86400"}, "SourceTON": {"5"},
	}
}

func tcAct(action string, pairs ...string) url.Values {
	form := url.Values{"Token": {"demopass"}, "Action": {action}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// tcServer starts a sandbox with one login, and returns the sandbox and a function that posts a form to
// TextConnect.
func tcServer(t testing.TB) (*simulator.Server, func(url.Values) string) {
	t.Helper()
	s, address := start(t, simulator.Options{Users: map[string]string{"demo": "demopass"}})
	return s, func(form url.Values) string {
		status, body := simulatortest.Post(t, address+"/textconnect/api", form)
		if status != 200 {
			t.Errorf("%v: got status %d, want 200", form, status)
		}
		return body
	}
}

func TestSend_AnswersAsDocumented(t *testing.T) {
	t.Parallel()
	good := tcSend(ann)
	day := func(d int) string { return time.Now().AddDate(0, 0, d).Format("20060102150405") }
	stored := func(kind, field, name string) url.Values {
		return simulatortest.With(simulatortest.With(good, "DestinationAddress", kind), field, name)
	}
	for name, tc := range map[string]struct {
		form url.Values
		want string // "id" means a message ID
	}{
		"good":                      {good, "id"},
		"action in capitals":        {simulatortest.With(good, "Action", "SEND"), "id"},
		"no token":                  {simulatortest.With(good, "Token", ""), "-501"},
		"wrong token":               {simulatortest.With(good, "Token", "x"), "-501"},
		"no action":                 {simulatortest.With(good, "Action", ""), "-502"},
		"unknown action":            {simulatortest.With(good, "Action", "Sent"), "-502"},
		"no sender":                 {simulatortest.With(good, "SourceAddress", ""), "-518"},
		"blank sender":              {simulatortest.With(good, "SourceAddress", "  "), "-518"},
		"12 letters":                {simulatortest.With(good, "SourceAddress", "Testing12345"), "-402"},
		"numeric sender":            {simulatortest.With(simulatortest.With(good, "SourceAddress", "447700900000"), "SourceTON", "1"), "id"},
		"letters with type 1":       {simulatortest.With(good, "SourceTON", "1"), "-403"},
		"two digits":                {simulatortest.With(good, "SourceAddress", "12"), "-403"},
		"17 digits":                 {simulatortest.With(good, "SourceAddress", "12345678901234567"), "-403"},
		"no type":                   {simulatortest.With(good, "SourceTON", ""), "id"},
		"type 2":                    {simulatortest.With(good, "SourceTON", "2"), "-507"},
		"459 characters":            {simulatortest.With(good, "Body", strings.Repeat("€", 459)), "id"},
		"460 characters":            {simulatortest.With(good, "Body", strings.Repeat("x", 460)), "-507"},
		"no body":                   {simulatortest.With(good, "Body", ""), "-519"},
		"blank body":                {simulatortest.With(good, "Body", " \n"), "-404"},
		"no validity":               {simulatortest.With(good, "ValidityPeriod", ""), "id"},
		"validity 0":                {simulatortest.With(good, "ValidityPeriod", "0"), "-405"},
		"validity 86401":            {simulatortest.With(good, "ValidityPeriod", "86401"), "-405"},
		"validity in words":         {simulatortest.With(good, "ValidityPeriod", "24h"), "-405"},
		"scheduled":                 {simulatortest.With(good, "ScheduleDate", day(2)), "id"},
		"scheduled for long ago":    {simulatortest.With(good, "ScheduleDate", day(-2)), "-407"},
		"scheduled in words":        {simulatortest.With(good, "ScheduleDate", "tomorrow"), "-407"},
		"no destination":            {simulatortest.With(good, "DestinationAddress", ""), "-401"},
		"national number":           {simulatortest.With(good, "DestinationAddress", "07777777771"), "-401"},
		"plus":                      {simulatortest.With(good, "DestinationAddress", "+"+ann), "-401"},
		"space":                     {simulatortest.With(good, "DestinationAddress", ann+", "+bob), "ids"},
		"list without a name":       {simulatortest.With(good, "DestinationAddress", "List"), "-410"},
		"unknown list":              {stored("List", "ListName", "Strangers"), "-516"},
		"empty list":                {stored("List", "ListName", "Vacant"), "-408"},
		"list":                      {stored("List", "ListName", "Members"), "1"},
		"group without a name":      {simulatortest.With(good, "DestinationAddress", "Group"), "-414"},
		"unknown group":             {stored("Group", "GroupName", "Strangers"), "-520"},
		"empty group":               {stored("Group", "GroupName", "Empty"), "-409"},
		"group":                     {stored("Group", "GroupName", "Staff"), "1"},
		"status without an id":      {tcAct("CheckMessageStatus"), "-503"},
		"status of a strange id":    {tcAct("CheckMessageStatus", "MessageID", "17"), "-503"},
		"status of a word":          {tcAct("CheckMessageStatus", "MessageID", "x"), "-503"},
		"unknown report":            {tcAct("Report", "ReportType", "All"), "-601"},
		"report without from":       {tcAct("Report", "ReportType", "Messages", "To", day(0)), "-504"},
		"report without to":         {tcAct("Report", "ReportType", "Usage", "From", day(0)), "-505"},
		"report backwards":          {tcAct("Report", "ReportType", "Usage", "From", day(0), "To", day(-1)), "-505"},
		"unknown background send":   {tcAct("GetBGMessages", "BGSendID", "7"), `{"error":"-521","message":"Unknown Background SendID"}`},
		"with its text":             {simulatortest.With(simulatortest.With(good, "Body", ""), "ShowErrorMessage", "0"), "-519\nThe error has the code -519"},
		"credits":                   {tcAct("checkcredits"), "1000000000"},
		"update of an unknown user": {tcAct("UpdateCredits", "ChildUsername", "unknown", "Quantity", "1"), "-509"},
		"update by nothing":         {tcAct("UpdateCredits", "ChildUsername", "child", "Quantity", "0"), "-702"},
		"update by a word":          {tcAct("UpdateCredits", "ChildUsername", "child", "Quantity", "x"), "-702"},
		"update below zero":         {tcAct("UpdateCredits", "ChildUsername", "child", "Quantity", "-11"), "-510"},
		"update above all there is": {tcAct("UpdateCredits", "ChildUsername", "child", "Quantity", "2e9"), "-100"},
		"import of an empty file":   {tcAct("ImportContactsCSV", "ContactsCSV", "\n"), "-507"},
		"empty no group":            {tcAct("EmptyGroup"), "-414"},
		"empty a strange group":     {tcAct("EmptyGroup", "Group", "Strangers"), "-520"},
		"delete no group":           {tcAct("DeleteGroup"), "-414"},
		"delete a strange group":    {tcAct("DeleteGroup", "Group", "Strangers"), "-520"},
	} {
		s, ask := tcServer(t)
		body := ask(tc.form)
		switch tc.want {
		case "id":
			if n, err := strconv.Atoi(body); err != nil || n < 3509592 || s.Stats().Accepted != 1 {
				t.Errorf("%s: got reply %q, stats %+v; want a message ID and Accepted 1", name, body, s.Stats())
			}
		case "ids":
			if id, code, _ := strings.Cut(body, ","); id[0] == '-' || code != "-401" {
				t.Errorf("%s: got reply %q, want a message ID and -401", name, body)
			}
		default:
			if body != tc.want {
				t.Errorf("%s: got %q, want %q", name, body, tc.want)
			}
			if sends := strings.EqualFold(tc.form.Get("Action"), "Send"); s.Stats().Calls > 0 != sends || tc.want[0] == '-' && sends && s.Stats().Rejected != 1 {
				t.Errorf("%s: got stats %+v; want Calls only for a send, and Rejected 1 for a refused send", name, s.Stats())
			}
		}
	}
}

func TestSend_AnswersByPosition(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	d := s.Gateway("textconnect")
	if d.ReplyScope(simulator.Reject) != simulator.ScopeNumber || d.ReplyScope(simulator.Later) != simulator.ScopeNumber || d.ReplyScope(simulator.Accept) != simulator.ScopeNone {
		t.Errorf("got reply scopes %v, %v and %v; want ScopeNumber for Reject and Later, ScopeNone for Accept",
			d.ReplyScope(simulator.Reject), d.ReplyScope(simulator.Later), d.ReplyScope(simulator.Accept))
	}
	if err := d.SetReply(simulator.Later, 447777777772); err != nil {
		t.Fatal(err)
	}
	textconnectsim.Of(s).Refuse("-412", 447777777773)
	first, rest, _ := strings.Cut(ask(tcSend(ann, bob, cat, "447777777774")), ",")
	id, _ := strconv.Atoi(first)
	if want := fmt.Sprintf("-411,-412,%d", id+1); rest != want {
		t.Errorf("got %q, want %q", rest, want)
	}
	last := d.LastAccepted()
	if !slices.Equal(last.Numbers, []uint64{447777777771, 447777777774}) || last.From != "Testing" || last.Body != "Hello" ||
		last.Fields["ValidityPeriod"] != "86400" || last.Fields["SourceTON"] != "5" || d.Accepted(447777777772) != 0 {
		t.Errorf("got last call %+v, want the fields of the call", last)
	}
	if err := d.SetReply(simulator.Reject, 447777777771); err != nil {
		t.Fatal(err)
	}
	if body := ask(tcSend(ann, cat)); body != "-401,-412" || s.Stats().Accepted != 2 || s.Stats().Rejected != 1 {
		t.Errorf("got reply %q, stats %+v; want \"-401,-412\", Accepted 2 and Rejected 1", body, s.Stats())
	}
	many := make([]string, 201)
	for i := range many {
		many[i] = strconv.Itoa(447800000000 + i)
	}
	if body := ask(tcSend(many[:200]...)); strings.Count(body, ",") != 199 {
		t.Errorf("got reply %q, want 200 entries", body)
	}
	if body := ask(tcSend(many...)); body != "1" || s.Stats().Accepted != 403 {
		t.Errorf("got reply %q, stats %+v; want \"1\" and Accepted 403", body, s.Stats())
	}
	s.SetCredit(1)
	if body := ask(tcSend(many[:2]...)); body != "-100" {
		t.Errorf("got %q, want \"-100\"", body)
	}
}

func TestMessageID_OfLongMessages(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	long := simulatortest.With(tcSend(ann, bob), "Body", strings.Repeat("x", 307))
	ids := strings.Split(ask(long), ",")
	all := strings.Split(ask(simulatortest.With(long, "GetAllMessageIDs", "1")), ",")
	a, _ := strconv.Atoi(ids[0])
	b, _ := strconv.Atoi(ids[1])
	if len(ids) != 2 || b != a+3 || len(all) != 6 || all[0] != strconv.Itoa(a+6) {
		t.Fatalf("got IDs %q, and segment IDs %q; want two IDs three apart, and six segment IDs after them", ids, all)
	}
	textconnectsim.Of(s).SetState("UNDELIVERABLE")
	for _, id := range append(ids, all...) {
		if body := ask(tcAct("CheckMessageStatus", "MessageID", id)); body != "UNDELIVERABLE" {
			t.Errorf("%s: got %q, want \"UNDELIVERABLE\"", id, body)
		}
	}
	if body := ask(tcAct("CheckMessageStatus", "MessageID", strconv.Itoa(a+12))); body != "-503" {
		t.Errorf("got %q, want \"-503\"", body)
	}
}

func TestSend_GetRequestsAndFaults(t *testing.T) {
	t.Parallel()
	s, address := start(t, simulator.Options{})
	if n, err := strconv.Atoi(simulatortest.Get(t, address+"/api?"+tcSend(ann).Encode())); err != nil || n == 0 || s.Stats().Calls != 1 {
		t.Errorf("got reply %d, error %v, stats %+v; want a message ID and Calls 1", n, err, s.Stats())
	}
	if _, body := simulatortest.Post(t, address+"/api?"+tcSend(ann).Encode(), nil); body != "-501" {
		t.Errorf("parameters in the query of a POST: got %q, want \"-501\"", body)
	}
	resp, err := http.Post(address+"/api", "text/plain", strings.NewReader(tcSend(ann).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if s.Stats().Calls != 1 {
		t.Errorf("after a request without a form: got %d calls, want 1", s.Stats().Calls)
	}
	for _, name := range []string{"later", "code_-300"} {
		if err := s.Fail(simulator.Fault{Name: name, N: 1, Gateway: "textconnect"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := simulatortest.Post(t, address+"/api", tcAct("CheckCredits")); body != "999999999" {
		t.Errorf("a fault for sends was injected into another request: got %q, want \"999999999\"", body)
	}
	for _, want := range []string{"-511", "-300"} {
		if _, body := simulatortest.Post(t, address+"/api", tcSend(ann)); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	if d := s.Gateway("textconnect"); d.Stats().Accepted != 1 || d.Stats().Faults != 2 {
		t.Errorf("got stats %+v; want Accepted 1, Faults 2", d.Stats())
	}
}

func TestSendStored_InTheBackground(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	form := simulatortest.With(simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "List"), "ListName", "Everyone"), "GetBGSendID", "1")
	ids := strings.Split(ask(form), ",")
	if len(ids) != 2 || s.Stats().Accepted != 250 {
		t.Fatalf("got IDs %q, stats %+v; want two IDs and Accepted 250", ids, s.Stats())
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if body := ask(tcAct("GetBGMessages", "BGSendID", id)); !strings.Contains(body, `"-522"`) {
			t.Errorf("background send %s at the first request: got %q, want the code -522 (not finished)", id, body)
		}
		var rows []map[string]string
		if err := json.Unmarshal([]byte(ask(tcAct("GetBGMessages", "BGSendID", id))), &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			seen[row["Destination"]] = true
			if body := ask(tcAct("CheckMessageStatus", "MessageID", row["MessageID"])); body != row["Status"] {
				t.Errorf("status of %v: got %q, want %q", row, body, row["Status"])
			}
		}
	}
	if len(seen) != 250 {
		t.Errorf("got %d numbers, want 250", len(seen))
	}
	if err := s.Gateway("textconnect").SetReply(simulator.Reject, 447700900001, 447700900002); err != nil {
		t.Fatal(err)
	}
	id := ask(simulatortest.With(simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Staff"), "GetBGSendID", "1"))
	ask(tcAct("GetBGMessages", "BGSendID", id))
	if body := ask(tcAct("GetBGMessages", "BGSendID", id)); !strings.Contains(body, `"-523"`) {
		t.Errorf("got reply %q, want the code -523", body)
	}
	s.SetCredit(249)
	if body := ask(form); body != "-100" {
		t.Errorf("got %q, want \"-100\"", body)
	}
}

func TestReport_EveryKind(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	rows := func(kind string, hours ...int) [][]string {
		t.Helper()
		zone, err := time.LoadLocation("Europe/London")
		if err != nil {
			t.Fatal(err)
		}
		at := func(h int) string {
			return time.Now().Add(time.Duration(h) * time.Hour).In(zone).Format("20060102150405")
		}
		got, err := csv.NewReader(strings.NewReader(ask(tcAct("Report", "ReportType", kind, "From", at(hours[0]), "To", at(hours[1]))))).ReadAll()
		if err != nil {
			t.Fatalf("report %s: got the error %v, want none", kind, err)
		}
		return got
	}
	id := ask(tcSend(ann))
	later := ask(simulatortest.With(tcSend(bob), "ScheduleDate", time.Now().AddDate(0, 0, 3).Format("20060102150405")))
	if got := rows("Messages", -1, 1); len(got) != 3 || strings.Join(got[0], ",") != "MessageID,Username,Destination,Source,Status,Schedule Date,Sent Date,Delivery Date" ||
		got[1][0] != id || got[1][2] != ann || got[1][3] != "Testing" || got[1][4] != "Delivered" || got[1][5] != "" || got[1][6] == "" || got[1][7] == "" ||
		got[2][0] != later || got[2][4] != "Pending" || got[2][5] == "" || got[2][6] != "" {
		t.Errorf("report of messages: got %q, want a delivered one and a pending one", got)
	}
	if got := rows("Messages", 1, 2); len(got) != 1 {
		t.Errorf("report of messages, tomorrow only: got %q, want no row", got)
	}
	if got := rows("outbox", 1, 2); len(got) != 2 || got[1][0] != later {
		t.Errorf("report of the outbox: got %q, want the scheduled message", got)
	}
	if got := rows("FailedMessages", -1, 1); len(got) != 1 {
		t.Errorf("report of failed messages: got %q, want no row", got)
	}
	textconnectsim.Of(s).SetState("EXPIRED")
	if got := rows("FailedMessages", -1, 1); len(got) != 2 || got[1][0] != id || got[1][7] != "" {
		t.Errorf("report of failed messages: got %q, want the expired message, not delivered", got)
	}
	if got := rows("Usage", -1, 1); len(got) != 3 || strings.Join(got[1], " ") != "EXPIRED 1" || strings.Join(got[2], " ") != "Pending 1" {
		t.Errorf("report of usage: got %q, want an expired message and a pending one", got)
	}
	if got := rows("InboundMessages", -1, 1); len(got) != 2 || got[1][3] != `Yes, "count" me in` {
		t.Errorf("report of inbound messages: got %q, want one message", got)
	}
	if got := rows("InboundMessages", 1, 2); len(got) != 1 {
		t.Errorf("report of inbound messages, later only: got %q, want no row", got)
	}
	if body := ask(tcAct("Report", "ReportType", "Outbox")); !strings.HasPrefix(body, `"MessageID",`) {
		t.Errorf("got reply %q, want the header row of a report", body)
	}
}

func TestAdmin_UsersAndContacts(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	create := tcAct("CreateUser", "ChildUsername", "ann", "ChildPassword", "x", "AccessLevel", "Normal", "FirstName", "A", "LastName", "L", "Email", "e", "Credits", "5")
	for _, tc := range []struct {
		form url.Values
		want string
	}{
		{simulatortest.With(create, "Email", ""), "-507\nEmail is missing"},
		{simulatortest.With(create, "AccessLevel", "Root"), "-508\n"},
		{simulatortest.With(create, "Credits", "-1"), "-702\n"},
		{simulatortest.With(create, "Credits", "2e9"), "-100\n"},
		{create, "1"},
		{create, "-508\nThe username is taken"},
		{tcAct("CheckCredits"), "999999995"},
		{tcAct("UpdateCredits", "ChildUsername", "ann", "Quantity", "-2.5"), "1"},
		{tcAct("UpdateCredits", "ChildUsername", "ann", "Quantity", "-2.6"), "-510"},
		{tcAct("CheckCredits"), "999999997.5"},
		{tcAct("ImportContactsCSV", "ContactsCSV", "Ann,447777777771,,Staff\nAnn,447777777772\nBob,447777777771\n,447777777773\nCat,mynumber,,Staff\nCat,447777777773,,Moon\n"),
			"1 : Success\r\n2 : Duplicate Name\r\n3 : Duplicate Number\r\n4 : Failed\r\n5 : Failed\r\n6 : Partial\r\n\r\n\r\n4 : No name\r\n5 : Invalid number (mynumber)\r\n6 : Unknown group (Moon)"},
		{tcAct("ImportContactsCSV", "ContactsCSV", "Ann,447777777772", "IgnoreDupes", "1"), "1 : Success\r\n"},
		{tcAct("ImportContactsCSV", "ContactsCSV", "Bob,447777777771,,Empty", "OverwriteDupes", "1"), "1 : Success\r\n"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Staff"), "1"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Empty"), "1"},
		{tcAct("EmptyGroup", "Group", "Staff"), "1"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Staff"), "-409"},
		{tcAct("DeleteGroup", "Group", "Staff"), "1"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Staff"), "-520"},
		{tcAct("DeleteAllContacts"), "1"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Empty"), "-409"},
		{tcAct("DeleteAllGroups"), "1"},
		{simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Empty"), "-520"},
	} {
		if body := ask(tc.form); !strings.HasPrefix(body, tc.want) {
			t.Errorf("%v: got %q, want %q", tc.form, body, tc.want)
		}
	}
	if last := s.Gateway("textconnect").LastAccepted(); !slices.Equal(last.Numbers, []uint64{447777777771}) || last.Fields["GroupName"] != "Empty" {
		t.Errorf("got last call %+v, want one number and the group Empty", last)
	}
	s.Reset()
	if body := ask(simulatortest.With(simulatortest.With(tcSend(), "DestinationAddress", "Group"), "GroupName", "Staff")); body != "1" {
		t.Errorf("after a reset: got %q, want \"1\"", body)
	}
}

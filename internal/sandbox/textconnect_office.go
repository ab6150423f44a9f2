package sandbox

import (
	"bytes"
	"encoding/csv"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// textConnectContact is an entry of the address book.
type textConnectContact struct {
	name, email string
	number      uint64
	groups      []string
}

// addSampleData fills the address book with its initial content.
func (g *textConnect) addSampleData() {
	g.groups = map[string]bool{"Staff": true, "Empty": true}
	g.contacts = []textConnectContact{
		{name: "Ada", number: 447700900001, email: "ada@example.com", groups: []string{"Staff"}},
		{name: "Obi", number: 447700900002, groups: []string{"Staff"}},
		{name: "Eve", number: 447700900003},
	}
	everyone := make([]uint64, 250)
	for i := range everyone {
		everyone[i] = 447700900100 + uint64(i)
	}
	g.lists = map[string][]uint64{"Members": everyone[:3:3], "Everyone": everyone, "Vacant": nil}
	g.users = map[string]float64{"child": 10}
}

// members returns the numbers of a group.
func (g *textConnect) members(group string) (numbers []uint64) {
	for _, c := range g.contacts {
		if slices.Contains(c.groups, group) {
			numbers = append(numbers, c.number)
		}
	}
	return numbers
}

// report replies with CSV in which every field is quoted.
func (g *textConnect) report(form url.Values) answer {
	kind := strings.ToLower(form.Get("ReportType"))
	if !slices.Contains([]string{"outbox", "messages", "usage", "inboundmessages", "failedmessages"}, kind) {
		return textConnectCode(form, "-601")
	}
	from, fromErr := time.ParseInLocation("20060102150405", form.Get("From"), g.zone)
	to, toErr := time.ParseInLocation("20060102150405", form.Get("To"), g.zone)
	switch {
	case kind == "outbox": // this report ignores From and To
	case fromErr != nil:
		return textConnectCode(form, "-504")
	case toErr != nil || to.Before(from):
		return textConnectCode(form, "-505")
	}
	switch kind {
	case "usage":
		return textConnectCSV([][]string{{"Username", "Messages", "Credits"}, {"demo", strconv.FormatUint(g.messages(from, to), 10), strconv.FormatUint(g.messages(from, to), 10)}})
	case "inboundmessages":
		rows := [][]string{{"MessageID", "Source", "Destination", "Message", "Received Date"}}
		if at := g.now().Add(-time.Minute); !at.Before(from) && !at.After(to) {
			rows = append(rows, []string{"9001", "447700900001", "447860000000", "Yes, \"count\" me in", g.date(at)})
		}
		return textConnectCSV(rows)
	}
	rows := [][]string{{"MessageID", "Username", "Destination", "Source", "Status", "Schedule Date", "Sent Date", "Delivery Date"}}
	for _, call := range g.acceptedCalls {
		if waits := call.scheduled.After(g.now()); (kind == "outbox") != waits && kind != "messages" ||
			kind != "outbox" && (call.sent.Before(from) || call.sent.After(to)) {
			continue
		}
		rows = g.appendMessages(rows, call, kind)
	}
	return textConnectCSV(rows)
}

// appendMessages appends the rows of a call's messages.
func (g *textConnect) appendMessages(rows [][]string, call textConnectCall, kind string) [][]string {
	state := g.stateOf(call)
	over := state != "Pending" && !strings.EqualFold(state, "Sent")
	delivered := strings.EqualFold(state, "Delivered")
	if kind == "failedmessages" && (!over || delivered) {
		return rows
	}
	var scheduled, sent, done string
	if !call.scheduled.IsZero() {
		scheduled = g.date(call.scheduled)
	}
	if state != "Pending" {
		sent = g.date(call.sent)
	}
	if delivered {
		done = g.date(call.sent)
	}
	for i, n := range call.numbers {
		id := strconv.FormatUint(call.first+uint64(i)*call.parts, 10)
		rows = append(rows, []string{id, "demo", strconv.FormatUint(n, 10), call.from, state, scheduled, sent, done})
	}
	return rows
}

// messages counts the messages sent in a time span.
func (g *textConnect) messages(from, to time.Time) (n uint64) {
	for _, call := range g.acceptedCalls {
		if !call.sent.Before(from) && !call.sent.After(to) {
			n += uint64(len(call.numbers))
		}
	}
	return n
}

func (*textConnect) now() time.Time { return time.Now().Truncate(time.Second) }

func (g *textConnect) date(t time.Time) string { return t.In(g.zone).Format("02/01/2006 15:04:05") }

// textConnectCSV quotes every field, which encoding/csv cannot do.
func textConnectCSV(rows [][]string) answer {
	var b bytes.Buffer
	for _, row := range rows {
		for i, field := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + strings.ReplaceAll(field, `"`, `""`) + `"`)
		}
		b.WriteString("\r\n")
	}
	return answer{contentType: "text/csv; charset=utf-8", body: b.Bytes()}
}

// createUser replies with a code. If the request is invalid, the error follows in the next lines.
func (g *textConnect) createUser(form url.Values) answer {
	var missing []string
	for _, name := range []string{"ChildUsername", "ChildPassword", "AccessLevel", "FirstName", "LastName", "Email", "Credits"} {
		if form.Get(name) == "" {
			missing = append(missing, name+" is missing")
		}
	}
	user := form.Get("ChildUsername")
	credits, err := strconv.ParseFloat(form.Get("Credits"), 64)
	_, exists := g.users[user]
	switch {
	case missing != nil:
		return textAnswer("-507\n" + strings.Join(missing, "\n"))
	case form.Get("AccessLevel") != "Normal" && form.Get("AccessLevel") != "Admin":
		return textAnswer("-508\nThe access level is not known")
	case exists:
		return textAnswer("-508\nThe username is taken")
	case err != nil || credits < 0:
		return textAnswer("-702\nThe credits are not a number")
	case credits > g.credit:
		return textAnswer("-100\nThere are not enough credits")
	}
	g.users[user] = credits
	g.credit -= credits
	return textAnswer("1")
}

func (g *textConnect) updateCredits(form url.Values) answer {
	user := form.Get("ChildUsername")
	has, ok := g.users[user]
	quantity, err := strconv.ParseFloat(form.Get("Quantity"), 64)
	switch {
	case !ok:
		return textConnectCode(form, "-509")
	case err != nil || quantity == 0:
		return textConnectCode(form, "-702")
	case has+quantity < 0:
		return textConnectCode(form, "-510")
	case quantity > g.credit:
		return textConnectCode(form, "-100")
	}
	g.users[user] += quantity
	g.credit -= quantity
	return textAnswer("1")
}

// importContacts replies with one result for each line of the import. The errors follow after two blank lines.
func (g *textConnect) importContacts(form url.Values) answer {
	text := strings.TrimRight(strings.ReplaceAll(form.Get("ContactsCSV"), "\r\n", "\n"), "\n")
	if text == "" {
		return textConnectCode(form, "-507")
	}
	var results, details strings.Builder
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		result, detail := g.importLine(line, form.Get("IgnoreDupes") == "1", form.Get("OverwriteDupes") == "1")
		results.WriteString(strconv.Itoa(n) + " : " + result + "\r\n")
		if detail != "" {
			details.WriteString(strconv.Itoa(n) + " : " + detail + "\r\n")
		}
	}
	if details.Len() > 0 {
		results.WriteString("\r\n\r\n" + details.String())
	}
	return textAnswer(results.String())
}

func (g *textConnect) importLine(line string, ignore, overwrite bool) (result, detail string) {
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return "Failed", "Not CSV"
	}
	for len(fields) < 3 {
		fields = append(fields, "")
	}
	number, err := strconv.ParseUint(fields[1], 10, 64)
	switch {
	case fields[0] == "":
		return "Failed", "No name"
	case err != nil || len(fields[1]) < 10 || len(fields[1]) > 15:
		return "Failed", "Invalid number (" + fields[1] + ")"
	}
	contact := textConnectContact{name: fields[0], number: number, email: fields[2]}
	for _, group := range fields[3:] {
		if g.groups[group] {
			contact.groups = append(contact.groups, group)
		} else if group != "" {
			detail = "Unknown group (" + group + ")"
		}
	}
	sameNumber := slices.IndexFunc(g.contacts, func(c textConnectContact) bool { return c.number == number })
	sameName := slices.ContainsFunc(g.contacts, func(c textConnectContact) bool { return c.name == fields[0] })
	switch {
	case overwrite && sameNumber >= 0:
		g.contacts[sameNumber] = contact
	case overwrite, ignore, sameNumber < 0 && !sameName:
		g.contacts = append(g.contacts, contact)
	case sameNumber >= 0:
		return "Duplicate Number", ""
	default:
		return "Duplicate Name", ""
	}
	if detail != "" {
		return "Partial", detail
	}
	return "Success", ""
}

func (g *textConnect) deleteAllContacts(url.Values) answer {
	g.contacts = nil
	return textAnswer("1")
}

func (g *textConnect) deleteAllGroups(url.Values) answer {
	for _, name := range slices.Collect(maps.Keys(g.groups)) {
		g.leave(name)
	}
	g.groups = map[string]bool{}
	return textAnswer("1")
}

func (g *textConnect) emptyGroup(form url.Values) answer { return g.onGroup(form, false) }

func (g *textConnect) deleteGroup(form url.Values) answer { return g.onGroup(form, true) }

func (g *textConnect) onGroup(form url.Values, remove bool) answer {
	name := form.Get("Group")
	switch {
	case name == "":
		return textConnectCode(form, "-414")
	case !g.groups[name]:
		return textConnectCode(form, "-520")
	}
	g.leave(name)
	if remove {
		delete(g.groups, name)
	}
	return textAnswer("1")
}

// leave removes all contacts from a group.
func (g *textConnect) leave(group string) {
	for i, c := range g.contacts {
		g.contacts[i].groups = slices.DeleteFunc(slices.Clone(c.groups), func(name string) bool { return name == group })
	}
}

package textconnectsim

import (
	"bytes"
	"encoding/csv"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// contact is an entry of the address book.
type contact struct {
	name, email string
	number      uint64
	groups      []string
}

// addSampleData fills the address book with its initial content.
func (g *Simulator) addSampleData() {
	g.groups = map[string]bool{"Staff": true, "Empty": true, "group1": true, "group2": true, "group3": true}
	g.contacts = []contact{
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

// The method "members" returns the numbers of a group.
func (g *Simulator) members(group string) (numbers []uint64) {
	for _, c := range g.contacts {
		if slices.Contains(c.groups, group) {
			numbers = append(numbers, c.number)
		}
	}
	return numbers
}

// The method "report" replies with CSV in which every field is quoted. The vendor's page does not show the
// columns of the reports. The columns of Usage, InboundMessages and Outbox are from FastSMS' own tests.
func (g *Simulator) report(form url.Values) simulator.Answer {
	kind := strings.ToLower(form.Get("ReportType"))
	if !slices.Contains([]string{"outbox", "messages", "usage", "inboundmessages", "failedmessages"}, kind) {
		return codeAnswer(form, "-601")
	}
	from, fromErr := time.ParseInLocation("20060102150405", form.Get("From"), g.zone)
	to, toErr := time.ParseInLocation("20060102150405", form.Get("To"), g.zone)
	switch {
	case kind == "outbox": // this report ignores From and To
	case fromErr != nil:
		return codeAnswer(form, "-504")
	case toErr != nil || to.Before(from):
		return codeAnswer(form, "-505")
	}
	switch kind {
	case "usage":
		return csvAnswer(g.usage(from, to))
	case "inboundmessages":
		rows := [][]string{{"MessageID", "From", "Number", "Message", "Received Date", "Status"}}
		if at := g.now().Add(-time.Minute); !at.Before(from) && !at.After(to) {
			rows = append(rows, []string{"9001", "447700900001", "447860000000", "Yes, \"count\" me in", g.date(at), "Read"})
		}
		return csvAnswer(rows)
	}
	rows := [][]string{{"MessageID", "Username", "Destination", "Source", "Status", "Schedule Date", "Sent Date", "Delivery Date"}}
	for _, call := range g.acceptedCalls {
		if waits := call.scheduled.After(g.now()); (kind == "outbox") != waits && kind != "messages" ||
			kind != "outbox" && (call.sent.Before(from) || call.sent.After(to)) {
			continue
		}
		rows = g.appendMessages(rows, call, kind)
	}
	if kind == "outbox" {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 3, 4) // Source
		}
	}
	return csvAnswer(rows)
}

// appendMessages appends the rows of a call's messages.
func (g *Simulator) appendMessages(rows [][]string, call acceptedCall, kind string) [][]string {
	var scheduled string
	if !call.scheduled.IsZero() {
		scheduled = g.date(call.scheduled)
	}
	for i, n := range call.numbers {
		state, end := g.stateOf(call, i)
		delivered := strings.EqualFold(state, "Delivered")
		over := state != "Pending" && !strings.EqualFold(state, "Sent")
		if kind == "failedmessages" && (!over || delivered) {
			continue
		}
		var sent, done string
		if state != "Pending" {
			sent = g.date(call.sent)
		}
		if delivered {
			done = g.date(end)
		}
		id := strconv.FormatUint(call.first+uint64(i)*call.parts, 10)
		rows = append(rows, []string{id, "demo", strconv.FormatUint(n, 10), call.from, state, scheduled, sent, done})
	}
	return rows
}

// The method "usage" returns the rows of the report Usage for a span of time. Each row has a status and the number
// of messages that have this status.
func (g *Simulator) usage(from, to time.Time) [][]string {
	counts := map[string]int{}
	for _, call := range g.acceptedCalls {
		if call.sent.Before(from) || call.sent.After(to) {
			continue
		}
		for i := range call.numbers {
			state, _ := g.stateOf(call, i)
			counts[state]++
		}
	}
	rows := [][]string{{"Status", "Messages"}}
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, []string{state, strconv.Itoa(counts[state])})
	}
	return rows
}

func (*Simulator) now() time.Time { return time.Now().Truncate(time.Second) }

func (g *Simulator) date(t time.Time) string { return t.In(g.zone).Format("02/01/2006 15:04:05") }

// csvAnswer returns the rows as CSV with quotes around every field, which encoding/csv cannot write.
func csvAnswer(rows [][]string) simulator.Answer {
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
	return simulator.Answer{ContentType: "text/csv; charset=utf-8", Body: b.Bytes()}
}

// createUser replies with a code. If the request is invalid, the next lines contain the error.
func (g *Simulator) createUser(form url.Values) simulator.Answer {
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
		return simulator.TextAnswer("-507\n" + strings.Join(missing, "\n"))
	case form.Get("AccessLevel") != "Normal" && form.Get("AccessLevel") != "Admin":
		return simulator.TextAnswer("-508\nThe access level is not known")
	case exists:
		return simulator.TextAnswer("-508\nThe username is taken")
	case err != nil || credits < 0:
		return simulator.TextAnswer("-702\nThe credits are not a number")
	case credits > g.state.Credit():
		return simulator.TextAnswer("-100\nThere are not enough credits")
	}
	g.users[user] = credits
	g.state.Charge(credits)
	return simulator.TextAnswer("1")
}

func (g *Simulator) updateCredits(form url.Values) simulator.Answer {
	user := form.Get("ChildUsername")
	has, ok := g.users[user]
	quantity, err := strconv.ParseFloat(form.Get("Quantity"), 64)
	switch {
	case !ok:
		return codeAnswer(form, "-509")
	case err != nil || quantity == 0:
		return codeAnswer(form, "-702")
	case has+quantity < 0:
		return codeAnswer(form, "-510")
	case quantity > g.state.Credit():
		return codeAnswer(form, "-100")
	}
	g.users[user] += quantity
	g.state.Charge(quantity)
	return simulator.TextAnswer("1")
}

// importContacts replies with one result for each line of the import. The errors follow after two blank lines.
func (g *Simulator) importContacts(form url.Values) simulator.Answer {
	text := strings.TrimRight(strings.ReplaceAll(form.Get("ContactsCSV"), "\r\n", "\n"), "\n")
	if text == "" {
		return codeAnswer(form, "-507")
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
	return simulator.TextAnswer(results.String())
}

func (g *Simulator) importLine(line string, ignore, overwrite bool) (result, detail string) {
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
	entry := contact{name: fields[0], number: number, email: fields[2]}
	for _, group := range fields[3:] {
		if g.groups[group] {
			entry.groups = append(entry.groups, group)
		} else if group != "" {
			detail = "Unknown group (" + group + ")"
		}
	}
	sameNumber := slices.IndexFunc(g.contacts, func(c contact) bool { return c.number == number })
	sameName := slices.ContainsFunc(g.contacts, func(c contact) bool { return c.name == fields[0] })
	switch {
	case overwrite && sameNumber >= 0:
		g.contacts[sameNumber] = entry
	case overwrite, ignore, sameNumber < 0 && !sameName:
		g.contacts = append(g.contacts, entry)
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

func (g *Simulator) deleteAllContacts(url.Values) simulator.Answer {
	g.contacts = nil
	return simulator.TextAnswer("1")
}

func (g *Simulator) deleteAllGroups(url.Values) simulator.Answer {
	for _, name := range slices.Collect(maps.Keys(g.groups)) {
		g.leave(name)
	}
	g.groups = map[string]bool{}
	return simulator.TextAnswer("1")
}

func (g *Simulator) emptyGroup(form url.Values) simulator.Answer { return g.onGroup(form, false) }

func (g *Simulator) deleteGroup(form url.Values) simulator.Answer { return g.onGroup(form, true) }

func (g *Simulator) onGroup(form url.Values, remove bool) simulator.Answer {
	name := form.Get("Group")
	switch {
	case name == "":
		return codeAnswer(form, "-414")
	case !g.groups[name]:
		return codeAnswer(form, "-520")
	}
	g.leave(name)
	if remove {
		delete(g.groups, name)
	}
	return simulator.TextAnswer("1")
}

// The method "leave" removes all contacts from a group.
func (g *Simulator) leave(group string) {
	for i, c := range g.contacts {
		g.contacts[i].groups = slices.DeleteFunc(slices.Clone(c.groups), func(name string) bool { return name == group })
	}
}

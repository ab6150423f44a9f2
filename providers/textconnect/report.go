package textconnect

import (
	"bytes"
	"context"
	"encoding/csv"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// The values of ReportType.
const (
	// ReportMessages lists the messages of a span of time, with what became of them.
	ReportMessages = "Messages"
	// ReportOutbox lists what waits to go out. It knows no span of time.
	ReportOutbox = "Outbox"
	// ReportUsage lists what was used up.
	ReportUsage = "Usage"
	// ReportInboundMessages lists what people have sent in.
	ReportInboundMessages = "InboundMessages"
	// ReportFailedMessages lists what could not be delivered.
	ReportFailedMessages = "FailedMessages"
)

// ReportKinds names the types of report on the page.
func (p *Provider) ReportKinds() []string {
	return []string{ReportMessages, ReportOutbox, ReportUsage, ReportInboundMessages, ReportFailedMessages}
}

// Bounds that stand for none: the page calls From and To mandatory.
var (
	firstDay = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2099, time.December, 31, 0, 0, 0, 0, time.UTC)
)

// Report fetches one report, read by its own header row; kind is not case
// sensitive. Outbox ignores from and to at the gateway. A report larger than
// providers.DefaultMaxReply is an error: ask for a shorter span of time.
func (p *Provider) Report(ctx context.Context, kind string, from, to time.Time) (providers.Table, error) {
	table, _, err := p.report(ctx, kind, from, to)
	return table, err
}

func (p *Provider) report(ctx context.Context, kind string, from, to time.Time) (providers.Table, *providers.Reply, error) {
	kinds := p.ReportKinds()
	i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, kind) })
	if i < 0 {
		return providers.Table{}, nil, refusal(opReport, "no such report; there is "+strings.Join(kinds, ", "))
	}
	if from.IsZero() {
		from = firstDay
	}
	if to.IsZero() {
		to = lastDay
	}
	form := providers.AppendField(p.form("Report"), "ReportType", kinds[i])
	form = providers.AppendField(form, "From", from.In(p.zone).Format(timestamp))
	form = providers.AppendField(form, "To", to.In(p.zone).Format(timestamp))
	reply, err := p.post(ctx, opReport, form)
	if err != nil {
		return providers.Table{}, nil, err
	}
	table, ok := parseTable(reply.Body)
	if !ok {
		return providers.Table{}, nil, refused(opReport, reply)
	}
	return table, reply, nil
}

// parseTable reads CSV with a header row. Half a table is none: whoever looks for a
// message in it must be able to rely on it. It has no effects.
func parseTable(body []byte) (providers.Table, bool) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	r.TrimLeadingSpace = true
	rows, err := r.ReadAll() // which holds every row to the length of the first
	if err != nil || len(rows) == 0 {
		return providers.Table{}, false
	}
	columns := rows[0]
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
		if !isColumn(columns[i]) || slices.Contains(columns[:i], columns[i]) {
			return providers.Table{}, false
		}
	}
	if len(columns) < 2 { // a sentence, more likely
		return providers.Table{}, false
	}
	return providers.Table{Columns: columns, Rows: rows[1:]}, true
}

// isColumn says whether s may be the name of a column: it begins with a letter and
// is short and printable.
func isColumn(s string) bool {
	const longest = 64
	for i, c := range s {
		if i == 0 && !unicode.IsLetter(c) || !unicode.IsPrint(c) || strings.ContainsRune("<>{}=", c) {
			return false
		}
	}
	return s != "" && len(s) <= longest
}

// Message is a row of the report on messages.
type Message struct {
	// ID is the gateway's id, and Username who has sent it.
	ID, Username string
	// To is the recipient; 0 if what the gateway has there is no number.
	To sms.MSISDN
	// From is the sender ID.
	From string
	// Report is what became of it.
	Report providers.MessageStatus
	// Scheduled, Sent and Delivered are to the second, zero where the gateway has no
	// time. In the hour that October has twice they may be an hour off: the gateway
	// writes London's time without a zone.
	Scheduled, Sent, Delivered time.Time
}

// Messages fetches the report on messages of a span of time and reads its rows.
// Errors are those of Report.
func (p *Provider) Messages(ctx context.Context, from, to time.Time) ([]Message, error) {
	table, reply, err := p.report(ctx, ReportMessages, from, to)
	if err != nil {
		return nil, err
	}
	messages, ok := parseMessages(table, p.zone)
	if !ok {
		return nil, reply.NotUnderstood(opReport)
	}
	return messages, nil
}

// Taken lists the messages that the report on messages has of a span of time: how a
// send of unknown outcome is looked for, by number and sender. Of a message of several
// parts the page does not say whether the report has one row or one for each. Errors
// are those of Report.
func (p *Provider) Taken(ctx context.Context, from, to time.Time) ([]providers.TakenMessage, error) {
	messages, err := p.Messages(ctx, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]providers.TakenMessage, len(messages))
	for i, m := range messages {
		at := m.Sent
		if at.IsZero() {
			at = m.Scheduled
		}
		out[i] = providers.TakenMessage{ID: m.ID, To: m.To, From: m.From, At: at}
	}
	return out, nil
}

// parseMessages reads a table of messages by the names of its columns. It has no effects.
func parseMessages(table providers.Table, zone *time.Location) ([]Message, bool) {
	at := map[string]int{}
	for _, name := range []string{"MessageID", "Username", "Destination", "Source", "Status", "Schedule Date", "Sent Date", "Delivery Date"} {
		at[name] = slices.IndexFunc(table.Columns, func(column string) bool { return strings.EqualFold(column, name) })
		if at[name] < 0 {
			return nil, false
		}
	}
	messages := make([]Message, 0, len(table.Rows))
	for _, row := range table.Rows {
		field := func(name string) string { return strings.TrimSpace(row[at[name]]) }
		m := Message{ID: field("MessageID"), Username: field("Username"), From: field("Source"), Report: rowState(field("Status"))}
		if m.ID == "" {
			return nil, false
		}
		m.To, _ = parseNumber(strings.TrimPrefix(field("Destination"), "+"))
		for name, t := range map[string]*time.Time{"Schedule Date": &m.Scheduled, "Sent Date": &m.Sent, "Delivery Date": &m.Delivered} {
			var ok bool
			if *t, ok = parseDate(field(name), zone); !ok {
				return nil, false
			}
		}
		messages = append(messages, m)
	}
	return messages, true
}

// parseDate reads DD/MM/YYYY HH:MM:SS; nothing is no date.
func parseDate(text string, zone *time.Location) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation("02/01/2006 15:04:05", text, zone)
	return t, err == nil
}

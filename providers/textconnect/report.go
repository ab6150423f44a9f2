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
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// The values of ReportType.
const (
	// ReportMessages lists the messages of a span of time, with their delivery status.
	ReportMessages = "Messages"
	// ReportOutbox lists the messages that wait to be sent. This report is not limited to a span of
	// time.
	ReportOutbox = "Outbox"
	// ReportUsage lists the credits used.
	ReportUsage = "Usage"
	// ReportInboundMessages lists the incoming messages (MO).
	ReportInboundMessages = "InboundMessages"
	// ReportFailedMessages lists the messages that could not be delivered.
	ReportFailedMessages = "FailedMessages"
)

// ReportKinds returns the types of report on the vendor's page.
func (p *Provider) ReportKinds() []string {
	return []string{ReportMessages, ReportOutbox, ReportUsage, ReportInboundMessages, ReportFailedMessages}
}

// If "start" or "end" is zero, the request has firstDay or lastDay instead. The vendor's page requires both dates.
var (
	firstDay = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2099, time.December, 31, 0, 0, 0, 0, time.UTC)
)

// Report downloads one report, with the columns of its header row. Upper and lower case do not
// matter in the parameter "kind". For Outbox the gateway ignores the parameters "start" and "end".
// If the report is larger than httpclient.DefaultMaxReply, Report returns an error. Then request a
// shorter span of time.
func (p *Provider) Report(ctx context.Context, kind string, start, end time.Time) (providers.Table, error) {
	table, _, err := p.report(ctx, kind, start, end)
	return table, err
}

func (p *Provider) report(ctx context.Context, kind string, from, to time.Time) (providers.Table, *httpclient.Reply, error) {
	kinds := p.ReportKinds()
	i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, kind) })
	if i < 0 {
		return providers.Table{}, nil, refusal(opReport, "unknown report; use one of these names: "+strings.Join(kinds, ", "))
	}
	if from.IsZero() {
		from = firstDay
	}
	if to.IsZero() {
		to = lastDay
	}
	form := httpclient.AppendField(p.form("Report"), "ReportType", kinds[i])
	form = httpclient.AppendField(form, "From", from.In(p.zone).Format(timestamp))
	form = httpclient.AppendField(form, "To", to.In(p.zone).Format(timestamp))
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

// parseTable parses CSV with a header row. The result "ok" is false if any row is invalid, because a caller that
// searches the table for a message needs the whole table.
func parseTable(body []byte) (providers.Table, bool) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	r.TrimLeadingSpace = true
	rows, err := r.ReadAll() // ReadAll returns an error unless all rows have the same length
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
	if len(columns) < 2 { // a text with a single column is probably a sentence and not a table
		return providers.Table{}, false
	}
	return providers.Table{Columns: columns, Rows: rows[1:]}, true
}

// isColumn reports whether the text s can be the name of a column. Such a text begins with a letter, and is short
// and printable.
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
	// ID is the gateway's message ID. Username is the gateway's user that sent the message.
	ID, Username string
	// To is the recipient, or 0 if the gateway's value is not a phone number.
	To sms.MSISDN
	// From is the sender ID.
	From string
	// Status is the message's delivery status.
	Status providers.MessageStatus
	// Scheduled, Sent and Delivered are in whole seconds. Each of them is zero if the gateway gives no time.
	// The gateway writes London time without an offset. One hour occurs twice at the end of summer time, so a
	// time in that hour may be wrong by one hour.
	Scheduled, Sent, Delivered time.Time
}

// Messages downloads the report ReportMessages for a span of time, and parses the report's rows. Messages returns
// the same errors as Report.
func (p *Provider) Messages(ctx context.Context, start, end time.Time) ([]Message, error) {
	table, reply, err := p.report(ctx, ReportMessages, start, end)
	if err != nil {
		return nil, err
	}
	messages, ok := parseMessages(table, p.zone)
	if !ok {
		return nil, reply.NotUnderstood(opReport)
	}
	return messages, nil
}

// Taken returns the messages in the report ReportMessages for a span of time. Callers use the recipient and the
// sender ID to match these messages with sends of unknown outcome. The vendor's page does not state if a message
// of several segments has one row or several rows. Taken returns the same errors as Report.
func (p *Provider) Taken(ctx context.Context, start, end time.Time) ([]providers.TakenMessage, error) {
	messages, err := p.Messages(ctx, start, end)
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

// MessageStatuses downloads the report ReportMessages of a span of time. This report has the delivery
// status of every message. The vendor's page describes no paging, so if a report is too long, request
// it again in shorter spans. MessageStatuses returns the same errors as Report.
func (p *Provider) MessageStatuses(ctx context.Context, start, end time.Time) ([]providers.ListedStatus, error) {
	start, end = p.unambiguous(start, end)
	messages, err := p.Messages(ctx, start, end)
	if err != nil {
		return nil, err
	}
	out := make([]providers.ListedStatus, len(messages))
	for i, m := range messages {
		out[i] = providers.ListedStatus{ID: m.ID, To: m.To, Status: m.Status, At: m.Delivered}
	}
	return out, nil
}

// unambiguous returns a span of time that contains the given span. At the end of summer time one hour
// of London time occurs twice, and the gateway's times have no offset. If the given span is in or near
// this hour, the returned span is longer by an hour at each end, so that it has the messages of both
// hours.
func (p *Provider) unambiguous(start, end time.Time) (from, to time.Time) {
	from, to = start.Add(-time.Hour), end.Add(time.Hour)
	_, before := from.In(p.zone).Zone()
	_, after := to.In(p.zone).Zone()
	if before > after {
		return from, to
	}
	return start, end
}

// parseMessages parses a table of messages by the names of its columns.
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
		m := Message{ID: field("MessageID"), Username: field("Username"), From: field("Source"), Status: rowState(field("Status"))}
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

// parseDate parses DD/MM/YYYY HH:MM:SS. It returns the zero time and true for an empty text.
func parseDate(text string, zone *time.Location) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation("02/01/2006 15:04:05", text, zone)
	return t, err == nil
}

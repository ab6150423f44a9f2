package campaign

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// Units of an account's rate.
const (
	UnitMessages = "messages" // recipients
	UnitSegments = "segments"
	UnitRequests = "requests"
)

// Card is the description of an account that workers publish. Producers validate campaigns against
// it, and the CLI shows it.
type Card struct {
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	Info        providers.Info `json:"info"`
	Rate        float64        `json:"rate"` // units a second; 0: unlimited
	Burst       float64        `json:"burst,omitempty"`
	Unit        string         `json:"unit"` // UnitMessages, UnitSegments or UnitRequests
	Sender      string         `json:"sender,omitempty"`
	Concurrency int            `json:"concurrency"` // maximum number of simultaneous calls of one worker
	Price       string         `json:"price,omitempty"`
	OnUnknown   string         `json:"on_unknown,omitempty"`
	// ReportFor is how long a message waits for its delivery report. It is 0 if reports are not
	// collected.
	ReportFor time.Duration `json:"report_for,omitempty"`
	// ReportSample is the number of messages of a campaign whose delivery reports are collected. 0 means
	// all messages.
	ReportSample int    `json:"report_sample,omitempty"`
	Country      string `json:"country,omitempty"`
	// Windows are the sending hours of marketing campaigns by country, e.g. "08:00-18:00".
	Windows map[string]string `json:"windows,omitempty"`
}

// Incompatibility is a reason why an account cannot carry a campaign.
type Incompatibility struct {
	// Field is the campaign's field: "from", "flash" or "body". Problem describes the reason for a human
	// reader.
	Field, Problem string
}

// Incompatibilities returns the reasons why, according to the card, the account cannot carry a
// campaign. It returns nil if the account can carry the campaign. The parameter "from" is the
// campaign's sender ID, or empty for the account's default sender ID.
func (c Card) Incompatibilities(from, body string, flash bool) (out []Incompatibility) {
	add := func(field, format string, args ...any) {
		out = append(out, Incompatibility{field, fmt.Sprintf(format, args...)})
	}
	if from == "" {
		from = c.Sender
	}
	if from == "" && !c.Info.SenderOptional {
		add("from", "account %s has no default sender: set a sender", c.Name)
	}
	if from != "" {
		if err := sms.ValidateSender(from, c.Info.SenderAlphaMax, c.Info.SenderDigitsMax); err != nil {
			add("from", "%s", err)
		}
	}
	if flash && !c.Info.Flash {
		add("flash", "the gateway of account %s does not support flash messages", c.Name)
	}
	if why, wide := sms.ExplainUCS2(body); wide && flash && c.Info.FlashGSM7 {
		add("flash", "account %s sends flash messages only in GSM-7, and the body is %s: replace the characters that are not in GSM-7, or send no flash message", c.Name, why)
	}
	l := sms.Measure(body)
	if !l.Fits(c.Info.MaxChars, 0) {
		twice := ""
		if l.Units > utf8.RuneCountInString(body) {
			twice = fmt.Sprintf(" in %s, where some characters count twice", l.Encoding)
		}
		add("body", "the body has %d characters%s; account %s allows %d", l.Units, twice, c.Name, c.Info.MaxChars)
	}
	if !l.Fits(0, c.Info.MaxSegments) {
		add("body", "the body takes %d segments in %s; account %s allows %d", l.Segments, l.Encoding, c.Name, c.Info.MaxSegments)
	}
	return out
}

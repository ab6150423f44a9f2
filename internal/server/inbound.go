package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// takeInbound stores the messages of a callback in the inbox. It also puts the sender of every opt-out word on a
// suppression list, so that workers claim no new call to this sender. It returns nil only after Redis has stored all
// of this.
func (d *doors) takeInbound(r *http.Request, acc *Account, c providers.Callback) error {
	messages, err := acc.Provider.(providers.InboundParser).ParseInbound(c)
	if err != nil {
		return err
	}
	ctx, cancel := storing(r)
	defer cancel()
	for _, m := range messages {
		if err := takeMessage(ctx, &d.cfg, acc, m); err != nil {
			return err
		}
	}
	return nil
}

// takeMessage applies the opt-out or opt-in in a message, if there is one, and stores the message in the inbox.
// If the message is already stored, takeMessage changes nothing.
//
// An opt-out is written before the message is stored. If the message cannot be stored, the gateway sends it
// again, and the opt-out is written again. An opt-in is applied in the same step that stores the message. So if
// the message is repeated, it cannot undo a later opt-out.
func takeMessage(ctx context.Context, cfg *Config, acc *Account, in providers.Inbound) error {
	number, numberErr := senderNumber(in.From, cfg.Country)
	m := inbox.Message{
		Account: acc.Name, ID: in.ID, From: in.From, To: in.To, Text: in.Text, LinkID: in.LinkID,
		At: in.At.UTC(), UnreadTime: in.UnreadTime, Word: cfg.Words.Of(in.Text), Fields: in.Fields,
	}
	if numberErr == nil {
		m.From = number.String()
	}
	list := optOutSender(acc, in.To)
	var optIn *inbox.OptIn
	switch {
	case m.Word != "" && numberErr != nil:
		// numberErr is not logged, because its text contains the number.
		cfg.Logger.Warn().Str("account", acc.Name).Str("word", m.Word).Msg("an opt-out or opt-in word came from a sender that is not a phone number, so the word changes nothing")
	case m.Word == inbox.Stop:
		if err := optOut(ctx, cfg, m, list); err != nil {
			return err
		}
	case m.Word == inbox.Start:
		name, err := optout.ListOf(list)
		if err != nil {
			return fmt.Errorf("opt in: %w", err)
		}
		optIn = &inbox.OptIn{List: name, Number: number, At: sentAt(m.At)}
	}
	isNew, err := cfg.Inbox.Take(ctx, m, optIn)
	if err == nil && isNew {
		cfg.Meter.Inbound(acc.Name)
	}
	return err
}

// senderNumber parses the sender of a message. Gateways write numbers in international form, often without
// the plus sign. Other numbers are in the national form of the country.
func senderNumber(text, country string) (sms.MSISDN, error) {
	digits := strings.TrimPrefix(strings.TrimSpace(text), "+")
	if number, err := sms.ParseMSISDN("+"+digits, ""); err == nil && !strings.HasPrefix(digits, "0") {
		return number, nil
	}
	return sms.ParseMSISDN(text, country)
}

// optOut puts the sender of a message on the suppression list of a sender ID. It does nothing if the message is
// already stored. In that case the opt-out was written earlier, and a later opt-in word may have removed this
// opt-out.
func optOut(ctx context.Context, cfg *Config, m inbox.Message, sender string) error {
	known, err := cfg.Inbox.Known(ctx, []inbox.Message{m})
	if err != nil || known[0] {
		return err
	}
	_, err = cfg.Client.OptOut(ctx, func(yield func(producer.OptOut, error) bool) {
		yield(producer.OptOut{Number: "+" + m.From, Sender: sender, Origin: producer.OriginKeyword, At: sentAt(m.At)}, nil)
	})
	if err == nil {
		cfg.Meter.OptOut(m.Account, 1)
	}
	return err
}

// sentAt returns the time of a message. It returns the current time if the gateway gives no time or a time in
// the future. The gateway's time has no time zone, so a time in the future was read in the wrong zone.
func sentAt(at time.Time) time.Time {
	if now := time.Now(); at.IsZero() || at.After(now) {
		return now
	}
	return at
}

// optOutSender returns the sender ID to which a word applies. This is the number or short code to which the
// message was sent. If the gateway does not name this number, it is the account's default sender ID. The
// result "" means all sender IDs.
func optOutSender(acc *Account, to string) string {
	return listOf(cmp.Or(to, acc.Sender))
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// curfew finds out whether a campaign is for countries in which it is too early or too late.
type sendingHoursNotice struct {
	// at is when the campaign begins.
	begins    time.Time
	countries []string // of national numbers
	// closed are the windows that are closed then, found those of them that somebody is in.
	closed, affected map[string]*hours.Window
}

// curfew asks for the sending hours that workers keep to; nil: none are closed.
func (s *sendCommand) newSendingHoursNotice(ctx context.Context, b *backend, countries []string) (*sendingHoursNotice, error) {
	if s.campaign.Class == producer.Transactional {
		return nil, nil
	}
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	c := &sendingHoursNotice{begins: s.now(), countries: countries, closed: map[string]*hours.Window{}, affected: map[string]*hours.Window{}}
	if s.campaign.StartAt.After(c.begins) {
		c.begins = s.campaign.StartAt
	}
	for _, acc := range accounts {
		if s.campaign.Via != "" && s.campaign.Via != acc.Name {
			continue
		}
		for country, text := range acc.Windows {
			h, err := hours.Parse(text)
			if err != nil {
				continue // a newer worker's; status tells when it keeps to it
			}
			if w, err := hours.In(country, h); err == nil {
				if open, _ := w.Open(c.begins); !open {
					c.closed[country] = w
				}
			}
		}
	}
	if len(c.closed) == 0 {
		return nil, nil
	}
	return c, nil
}

// note yields the recipients as they are and notes their countries.
func (c *sendingHoursNotice) recordCountries(recipients iter.Seq2[producer.Recipient, error]) iter.Seq2[producer.Recipient, error] {
	if c == nil {
		return recipients
	}
	return func(yield func(producer.Recipient, error) bool) {
		for r, err := range recipients {
			if len(c.affected) < len(c.closed) {
				c.recordCountry(r.Number)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (c *sendingHoursNotice) recordCountry(number string) {
	for _, national := range c.countries {
		m, err := sms.ParseMSISDN(number, national)
		if err != nil {
			continue
		}
		if w := c.closed[m.Country()]; w != nil {
			c.affected[w.Country] = w
		}
		return
	}
}

// warn says when those can be sent to who cannot be now.
func (s *sendCommand) noteSendingHours(c *sendingHoursNotice) {
	if c == nil {
		return
	}
	for _, w := range slices.SortedFunc(maps.Values(c.affected), func(a, b *hours.Window) int { return cmp.Compare(a.Country, b.Country) }) {
		_, opens := w.Open(c.begins)
		text := fmt.Sprintf("outside of the sending hours of %s (%s there): sent from %s on, %s", w.Country, w.Hours, formatTime(opens), formatUntil(opens, s.now()))
		if x := s.campaign.ExpiresAt; !x.IsZero() && !opens.Before(x) || s.campaign.ExpiresIn > 0 && !opens.Before(c.begins.Add(s.campaign.ExpiresIn)) {
			text += "; but it expires before"
		}
		s.note("tuma: %s", text)
	}
}

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/producer"
)

// scheduleLines describes when a campaign would be sent: one line for each country that has
// sending hours, then lines about expiry and accounts without a rate.
func scheduleLines(f producer.Forecast, now time.Time) (lines []string) {
	s := f.Schedule
	if len(s.Spans) == 0 {
		return nil
	}
	var countries []string
	by := map[string][]producer.SendingSpan{}
	for _, x := range s.Spans {
		if by[x.Country] == nil {
			countries = append(countries, x.Country)
		}
		by[x.Country] = append(by[x.Country], x)
	}
	for _, country := range countries {
		zone := hours.Zone(country)
		if zone == nil {
			zone = hours.Zone(f.Country)
		}
		if zone == nil {
			zone = time.UTC
		}
		words := countrySchedule(by[country], s, clockOf{zone, now})
		if len(countries) > 1 {
			name := country
			if name == "" {
				name = "elsewhere"
			}
			words = name + ": " + words
		}
		lines = append(lines, words)
	}
	switch {
	case s.Expired > 0:
		lines = append(lines, fmt.Sprintf("the campaign expires before it ends: %s would be skipped", console.Plural(s.Expired, "recipient")))
	case s.Until == nil:
		lines = append(lines, "sending would take more than a year")
	}
	if len(s.Unlimited) > 0 {
		lines = append(lines, "no rate is configured for "+strings.Join(s.Unlimited, ", ")+": the duration depends on the gateway")
	}
	return lines
}

// countrySchedule describes when the recipients of one country get the message.
func countrySchedule(spans []producer.SendingSpan, s producer.Schedule, c clockOf) string {
	total := 0
	for _, x := range spans {
		total += x.Recipients
	}
	first, last := spans[0], spans[len(spans)-1]
	words := "finishes " + c.about(last.Until)
	if s.Until == nil || s.Expired > 0 {
		words = "sending continues until " + c.until(last.Until)
	}
	if first.From.After(c.now) {
		words += ", starts " + c.at(first.From)
	}
	if n := len(spans); n > 3 {
		return words + fmt.Sprintf(", in %d parts of at most %s recipients each, %s in total", n, console.FormatInt(mostOf(spans)), console.FormatInt(total))
	}
	for _, x := range spans[1:] {
		words += fmt.Sprintf(", %s of %s %s", console.FormatInt(x.Recipients), console.FormatInt(total), c.from(x.From))
	}
	return words
}

// mostOf returns the largest number of recipients in a span.
func mostOf(spans []producer.SendingSpan) (most int) {
	for _, x := range spans {
		most = max(most, x.Recipients)
	}
	return most
}

// clockOf formats times in a time zone. It leaves out the day if the day is today.
type clockOf struct {
	zone *time.Location
	now  time.Time
}

// day returns "tomorrow " or the date, and an empty string for today.
func (c clockOf) day(t time.Time) string {
	t, today := t.In(c.zone), c.now.In(c.zone)
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	switch days := int(midnight(t).Sub(midnight(today)).Hours() / 24); {
	case days == 0:
		return ""
	case days == 1:
		return "tomorrow "
	case t.Year() == today.Year():
		return "on " + t.Format("Monday 2 January") + " "
	}
	return "on " + t.Format("Monday 2 January 2006") + " "
}

// The method "about" formats a time rounded up to the minute: "tomorrow at about 14:20 (EAT)".
func (c clockOf) about(t time.Time) string {
	up := t.Add(time.Minute - 1).Truncate(time.Minute)
	return c.day(up) + "at about " + up.In(c.zone).Format("15:04 (MST)")
}

// The method "until" formats a time that follows the word "until": "tomorrow 14:20 (EAT)".
func (c clockOf) until(t time.Time) string { return c.day(t) + t.In(c.zone).Format("15:04 (MST)") }

// The method "at" formats a moment: "tomorrow at 14:20".
func (c clockOf) at(t time.Time) string { return c.day(t) + "at " + t.In(c.zone).Format("15:04") }

// The method "from" formats the beginning of a span: "tomorrow from 14:20".
func (c clockOf) from(t time.Time) string { return c.day(t) + "from " + t.In(c.zone).Format("15:04") }

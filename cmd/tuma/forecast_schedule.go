package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/producer"
)

// scheduleWords says when a campaign would be sent, a sentence for each country that has
// sending hours.
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
				name = "at any hour"
			}
			words = name + ": " + words
		}
		lines = append(lines, words)
	}
	switch {
	case s.Expired > 0:
		lines = append(lines, fmt.Sprintf("it expires before it is through: %s would not be sent to", plural(s.Expired, "recipient")))
	case s.Until == nil:
		lines = append(lines, "it takes more than a year")
	}
	if len(s.Unlimited) > 0 {
		lines = append(lines, "no rate is set for "+strings.Join(s.Unlimited, ", ")+": how long that takes is up to the gateway")
	}
	return lines
}

// countryWords says when a country's recipients are sent to.
func countrySchedule(spans []producer.SendingSpan, s producer.Schedule, c clockOf) string {
	total := 0
	for _, x := range spans {
		total += x.Recipients
	}
	first, last := spans[0], spans[len(spans)-1]
	words := "finishes " + c.about(last.Until)
	if s.Until == nil || s.Expired > 0 {
		words = "sending goes on until " + c.until(last.Until)
	}
	if first.From.After(c.now) {
		words += ", begins " + c.at(first.From)
	}
	if n := len(spans); n > 3 {
		return words + fmt.Sprintf(", in %d parts of at most %s of %s", n, formatInt(mostOf(spans)), formatInt(total))
	}
	for _, x := range spans[1:] {
		words += fmt.Sprintf(", %s of %s %s", formatInt(x.Recipients), formatInt(total), c.from(x.From))
	}
	return words
}

func mostOf(spans []producer.SendingSpan) (most int) {
	for _, x := range spans {
		most = max(most, x.Recipients)
	}
	return most
}

// clockOf writes times as people in a zone say them.
type clockOf struct {
	zone *time.Location
	now  time.Time
}

// day is today, tomorrow or a date; today is left out.
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

// about is the minute by which it has come: "tomorrow at about 14:20 (EAT)".
func (c clockOf) about(t time.Time) string {
	up := t.Add(time.Minute - 1).Truncate(time.Minute)
	return c.day(up) + "at about " + up.In(c.zone).Format("15:04 (MST)")
}

func (c clockOf) until(t time.Time) string { return c.day(t) + t.In(c.zone).Format("15:04 (MST)") }

func (c clockOf) at(t time.Time) string { return c.day(t) + "at " + t.In(c.zone).Format("15:04") }

func (c clockOf) from(t time.Time) string { return c.day(t) + "from " + t.In(c.zone).Format("15:04") }

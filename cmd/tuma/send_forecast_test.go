package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/producer"
)

func TestDryRun_ScheduleInWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) // 09:00 in Nairobi
	hour := func(h float64) time.Time { return now.Add(time.Duration(h * float64(time.Hour))) }
	until := func(h float64) *time.Time { x := hour(h); return &x }
	days := func(n int) (out []producer.SendingSpan) {
		for i := range n {
			out = append(out, producer.SendingSpan{Country: "KE", From: hour(float64(24 * i)), Until: hour(float64(24*i) + 9), Recipients: 100})
		}
		return out
	}
	tests := map[string]struct {
		schedule producer.Schedule
		want     []string
	}{
		"nothing is known": {producer.Schedule{From: now}, nil},
		"today": {
			producer.Schedule{Until: until(5.32), Spans: []producer.SendingSpan{{Country: "KE", From: now, Until: hour(5.32), Recipients: 1_000_000}}},
			[]string{"finishes at about 14:20 (EAT)"},
		},
		"tomorrow": {
			producer.Schedule{Until: until(24), Spans: []producer.SendingSpan{{Country: "KE", From: now, Until: hour(9), Recipients: 688_000},
				{Country: "KE", From: hour(23), Until: hour(24), Recipients: 312_000}}},
			[]string{"finishes tomorrow at about 09:00 (EAT), 312,000 of 1,000,000 tomorrow from 08:00"},
		},
		"it begins later": {
			producer.Schedule{Until: until(72), Spans: []producer.SendingSpan{{Country: "KE", From: hour(71), Until: hour(72), Recipients: 5}}},
			[]string{"finishes on Thursday 26 November at about 09:00 (EAT), starts on Thursday 26 November at 08:00"},
		},
		"many days": {
			producer.Schedule{Until: until(24*9 + 9), Spans: days(10)},
			[]string{"finishes on Wednesday 2 December at about 18:00 (EAT), in 10 parts of at most 100 recipients each, 1,000 in total"},
		},
		"two countries": {
			producer.Schedule{Until: until(2), Unlimited: []string{"k"}, Spans: []producer.SendingSpan{{Country: "KE", From: now, Until: hour(1), Recipients: 5},
				{From: now, Until: hour(0.5), Recipients: 2}, {Country: "NG", From: hour(1), Until: hour(2), Recipients: 7}}},
			[]string{"KE: finishes at about 10:00 (EAT)", "elsewhere: finishes at about 09:30 (EAT)",
				"NG: finishes at about 09:00 (WAT), starts at 08:00", "no rate is configured for k: the duration depends on the gateway"},
		},
		"it expires": {
			producer.Schedule{Until: until(1), Expired: 3, Spans: []producer.SendingSpan{{Country: "KE", From: now, Until: hour(1), Recipients: 5}}},
			[]string{"sending continues until 10:00 (EAT)", "the campaign expires before it ends: 3 recipients would be skipped"},
		},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, scheduleLines(producer.Forecast{Country: "KE", Schedule: tt.schedule}, now)); diff != "" {
			t.Errorf("%s: lines of the schedule (-want +got)\n%s", name, diff)
		}
	}
}

package console

import (
	"testing"
	"time"
)

func TestMeter_RateOfTheLastTenSeconds(t *testing.T) {
	t.Parallel()
	var m Meter
	at := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	if m.Add(at, 5); m.Rate() != 0 {
		t.Errorf("rate after one reading: got %v, want 0", m.Rate())
	}
	for i := range 100 {
		m.Add(at.Add(time.Duration(i)*time.Second), i*i)
	}
	// The expected rate is the rate of the period from second 89 to second 99.
	if want := float64(99*99-89*89) / 10; m.Rate() != want {
		t.Errorf("rate after 100 readings: got %v, want %v", m.Rate(), want)
	}
	m.Add(at.Add(100*time.Second), 3) // the count falls when a retry makes settled recipients pending again
	if m.Rate() != 0 {
		t.Errorf("rate after the count fell: got %v, want 0", m.Rate())
	}
}

package simulator

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestDeliveries_Shares(t *testing.T) {
	t.Parallel()
	const messages = 20_000
	d := Deliveries{Delay: time.Minute, Fail: 0.2, Lost: 0.1}
	var early, delivered, failed, lost int
	reasons := map[int]bool{}
	for i := range messages {
		id := strconv.Itoa(i)
		if d.Of(1, id, 59*time.Second).Final {
			early++
		}
		switch got := d.Of(1, id, 2*time.Minute); {
		case got != d.Of(1, id, 72*time.Hour):
			t.Fatalf("message %s: the final status changed with time", id)
		case got.Delivered && got.Final && got.After <= 2*time.Minute:
			delivered++
		case got.Final && !got.Delivered:
			failed++
			reasons[got.Reason] = true
		case got == Delivery{}:
			lost++
		default:
			t.Fatalf("message %s: got %+v, want one of the four kinds", id, got)
		}
	}
	// For 20,000 messages, five standard deviations of a share are at most 0.018.
	for name, c := range map[string]struct {
		got  int
		want float64
	}{"before the average delay": {early, 0.9 * 59 / 120}, "delivered": {delivered, 0.72}, "failed": {failed, 0.18}, "lost": {lost, 0.1}} {
		if share := float64(c.got) / messages; math.Abs(share-c.want) > 0.018 {
			t.Errorf("%s: got a share of %.3f, want %.3f", name, share, c.want)
		}
	}
	if len(reasons) < 900 {
		t.Errorf("got %d different reasons of 1000, want nearly all", len(reasons))
	}
}

func TestDeliveries_SeedDecides(t *testing.T) {
	t.Parallel()
	d := Deliveries{Fail: 0.5}
	differ := 0
	for i := range 100 {
		id := strconv.Itoa(i)
		if again := (Deliveries{Fail: 0.5}).Of(1, id, 0); again != d.Of(1, id, 0) {
			t.Fatalf("message %s: two answers with one seed differ", id)
		}
		if d.Of(1, id, 0).Delivered != d.Of(2, id, 0).Delivered {
			differ++
		}
		if (Deliveries{}).Of(1, id, 0) != (Delivery{Final: true, Delivered: true}) {
			t.Fatalf("message %s: without settings it must be delivered at once", id)
		}
	}
	if differ < 20 {
		t.Errorf("two seeds differ for %d of 100 messages, want about 50", differ)
	}
}

func TestDeliveries_SetOption(t *testing.T) {
	t.Parallel()
	var d Deliveries
	for _, o := range [][2]string{{"report_delay", "10s"}, {"report_fail", "0.25"}, {"report_lost", "1"}} {
		if known, err := d.SetOption(o[0], o[1]); !known || err != nil {
			t.Errorf("%v: got known %t and the error %v, want a known option and no error", o, known, err)
		}
	}
	want := Deliveries{10 * time.Second, 0.25, 1}
	for _, o := range [][2]string{{"report_delay", "10"}, {"report_delay", "-1s"}, {"report_fail", "1.1"}, {"report_fail", "-0.1"}, {"report_lost", "NaN"}, {"report_lost", ""}} {
		if known, err := d.SetOption(o[0], o[1]); !known || err == nil {
			t.Errorf("%v: got known %t and the error %v, want a known option and an error", o, known, err)
		}
	}
	if known, _ := d.SetOption("report", "x"); known {
		t.Error("the option report is known here: want unknown")
	}
	if d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
}

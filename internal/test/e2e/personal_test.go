package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// personalRecipient returns the k-th recipient of the i-th gateway, with merge fields, and the text for this
// recipient. In each group of nine recipients, up to three recipients have the same name, and so the same text.
func personalRecipient(i, k int) (r producer.Recipient, text string) {
	name := fmt.Sprintf("Wanjiru %c%d", 'A'+k%3, k/9)
	if k%20 == 7 {
		name = fmt.Sprintf("Ọlá %d", k) // not in GSM-7
	}
	fields := map[string]string{"Name": name, "points": fmt.Sprint(k / 9)}
	if k%9 == 8 {
		fields["Name"], name = " ", "friend"
	}
	return producer.Recipient{Number: fmt.Sprint(number(i, k)), Fields: fields}, fmt.Sprintf("Habari %s, you have %d points & {{more}}.", name, k/9)
}

const personalTemplate = "Habari {{name|friend}}, you have {{points}} points & {{{{more}}."

func TestPersonal_EachRecipientGetsItsText(t *testing.T) {
	t.Parallel()
	const n = 450
	x := newAllGateways(t, simulator.Options{Texts: true}, nil)
	x.start()
	for i, k := range x.kinds {
		_, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: personalTemplate},
			func(yield func(producer.Recipient, error) bool) {
				for j := range n {
					if r, _ := personalRecipient(i, j); !yield(r, nil) {
						return
					}
				}
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	texts := map[string]bool{}
	for j := range n {
		_, text := personalRecipient(0, j)
		texts[text] = true
	}
	for i, k := range x.kinds {
		s := x.wait(k.Name, time.Minute)
		gateway := x.gateway.Gateway(k.Name)
		calls := len(texts)
		if x.info(k.Name).MaxRecipients == 1 {
			calls = n
		}
		if s.State != producer.Done || s.Accepted != n || s.Calls != calls || gateway.Stats().AcceptedCalls != int64(calls) {
			t.Errorf("%s: got %+v; want %d calls, the gateway had %d", k.Name, s, calls, gateway.Stats().AcceptedCalls)
		}
		for j := range n {
			if _, want := personalRecipient(i, j); gateway.Text(number(i, j)) != want || gateway.Accepted(number(i, j)) != 1 {
				t.Fatalf("%s: recipient %d got %q, %d times, want %q", k.Name, j, gateway.Text(number(i, j)), gateway.Accepted(number(i, j)), want)
			}
		}
		x.audit(i, n)
	}
}

// The tuma command sends a campaign from a file, and the test kills the worker twice. Every recipient must get exactly
// one message, with the text of this recipient.
func TestPersonal_KilledWorkersMixUpNoText(t *testing.T) {
	t.Parallel()
	const n = 6000
	f := newDeployment(t, simulator.Options{Texts: true, Latency: 2 * time.Millisecond})
	var list strings.Builder
	list.WriteString("Phone;First name;points\n")
	for k := range n {
		fmt.Fprintf(&list, "+%d;Amina %d;%d\n", number(0, k), k/2, k%2)
	}
	file := f.write("guests.csv", list.String())
	worker := f.start()
	f.must("send", "--id", "guests", "--via", "kobo-main", "--body", "Habari {{first_name:upper}}, {{points|no}} points.", "--file", file)
	for _, part := range []int{n / 60, n / 3} {
		f.eventually(time.Minute, "some to have gone", func() bool { return f.status("guests").Accepted >= part })
		f.kill(worker)
		worker = f.start()
	}
	s := f.wait("guests", 2*time.Minute)
	if s.Accepted+s.Unknown != n {
		t.Errorf("got status %+v, want %d accepted or unknown", s, n)
	}
	gateway := f.gateway.Gateway("kobo")
	for k := range n {
		if got, want := gateway.Text(number(0, k)), fmt.Sprintf("Habari AMINA %d, %d points.", k/2, k%2); got != want || gateway.Accepted(number(0, k)) != 1 {
			t.Fatalf("recipient %d got %q, %d times, want %q", k, got, gateway.Accepted(number(0, k)), want)
		}
	}
}

// A campaign at every gateway has three texts for each number, and the third text repeats the first. Each number must
// get the first and the second text once. A number that opts out after planning must get no text.
func TestPersonal_EachDifferentTextOfANumber(t *testing.T) {
	t.Parallel()
	const n = 40
	x := newAllGateways(t, simulator.Options{}, nil)
	x.start()
	for i, k := range x.kinds {
		if err := x.client.Hold(t.Context(), k.Name, ""); err != nil {
			t.Fatal(err)
		}
		_, err := x.client.Enqueue(t.Context(), producer.Campaign{ID: k.Name, Via: k.Name, Body: "Invoice {{no}}", Duplicates: producer.DuplicatesEach},
			func(yield func(producer.Recipient, error) bool) {
				for j := range 3 * n {
					no := fmt.Sprint("first ", j%n)
					if j/n == 1 {
						no = fmt.Sprint("second ", j%7)
					}
					if !yield(producer.Recipient{Number: fmt.Sprint(number(i, j%n)), Fields: map[string]string{"no": no}}, nil) {
						return
					}
				}
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, k := range x.kinds {
		x.eventually(time.Minute, k.Name+" to be planned", func() bool {
			s, err := x.client.Status(t.Context(), k.Name)
			return err == nil && s.State == producer.Sending
		})
		people := func(yield func(producer.OptOut, error) bool) {
			yield(producer.OptOut{Number: fmt.Sprint("+", number(i, 3)), Origin: "form"}, nil)
		}
		if _, err := x.client.OptOut(t.Context(), people); err != nil {
			t.Fatal(err)
		}
		if _, err := x.client.Release(t.Context(), k.Name); err != nil {
			t.Fatal(err)
		}
	}
	for i, k := range x.kinds {
		s := x.wait(k.Name, time.Minute)
		if s.Accepted != 2*(n-1) || s.Reasons["duplicate"] != n || s.Reasons["opted_out"] != 2 || s.OtherText != 0 {
			t.Errorf("%s: %+v, want %d accepted, %d duplicates and 2 opted out", k.Name, s, 2*(n-1), n)
		}
		for j := range n {
			want := 2
			if j == 3 {
				want = 0
			}
			if got := x.gateway.Gateway(k.Name).Accepted(number(i, j)); got != want {
				t.Errorf("%s: recipient %d got %d messages, want %d", k.Name, j, got, want)
			}
		}
	}
	if got := x.gateway.Duplicates(); got != 0 {
		t.Errorf("the gateways counted %d duplicates, want 0", got)
	}
}

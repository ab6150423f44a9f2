package demo

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

var update = flag.Bool("update", false, "write recipients.csv")

// These are numbers of rows in the demo's list: all rows, duplicate rows and invalid rows.
const (
	rowCount       = 20_000
	duplicateCount = 340
	invalidCount   = 260
)

func TestRecipients(t *testing.T) {
	t.Parallel()
	made := makeRecipients()
	if *update {
		if err := os.WriteFile("recipients.csv", made, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log("recipients.csv written; rebuild to embed it")
		return
	}
	if !bytes.Equal(made, recipientsCSV) {
		t.Error("recipients.csv differs from the generated list; run: go test ./internal/demo -run TestRecipients -update")
	}
	seen := map[sms.MSISDN]bool{}
	var rows, duplicates, invalid int
	for r, err := range list().All() {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		number, err := sms.ParseMSISDN(r.Number, "KE")
		switch {
		case err != nil:
			invalid++
		case seen[number]:
			duplicates++
		}
		seen[number] = true
	}
	if rows != rowCount || duplicates != duplicateCount || invalid != invalidCount {
		t.Errorf("the list has %d rows, %d duplicates, %d invalid; want %d, %d, %d", rows, duplicates, invalid, rowCount, duplicateCount, invalidCount)
	}
}

var (
	kenyanNames = [2][]string{
		strings.Fields("Wanjiru Achieng Kamau Otieno Njeri Mutua Atieno Kiprop Chebet Mwangi Akinyi Barasa Nafula Kariuki Wambui Omondi Halima Juma Zawadi Baraka"),
		strings.Fields("Odhiambo Kimani Wekesa Njoroge Cheruiyot Maina Mohamed Musyoka Ndungu Rotich Onyango Gathoni Mwende Kilonzo Abdi Waweru Langat Auma"),
	}
	nigerianNames = [2][]string{
		strings.Fields("Chinedu Aisha Olúwaṣeun Ngozi Ibrahim Fọlákẹ́ Emeka Yetunde Musa Chiamaka Babatunde Zainab Ifeoma Tunde Halima Obinna Adaeze Sani"),
		strings.Fields("Okafor Bello Adéyẹmí Eze Abubakar Ọláníyì Nwosu Yusuf Balogun Okonkwo Danjuma Ogunleye Uche Lawal Igwe Afolabi Suleiman Obi"),
	}
	kenyanTowns   = strings.Fields("Nairobi Mombasa Kisumu Nakuru Eldoret Thika Malindi Kitale Garissa Nyeri")
	nigerianTowns = strings.Fields("Lagos Abuja Kano Ibadan Enugu Kaduna Jos Benin Calabar Owerri")
	notNumbers    = []string{
		"", "-", "n/a", "2.54712E+11", "1500.00", "0712 34567", "07123456789", "+254 20 271 2345", "0800 720 720",
		"call after 5", "0712345678 / 0722345678", "+1", "20400", "2547o2345678",
	}
)

// makeRecipients returns the demo's list of customers in Kenya and Nigeria, with numbers in
// many notations. The list is always the same.
func makeRecipients() []byte {
	rng := rand.New(rand.NewPCG(2025, 0x7475_6d61))
	rows := make([][]string, 0, rowCount)
	seen := map[uint64]bool{}
	var good []uint64
	person := func(number uint64) []string {
		names, towns := kenyanNames, kenyanTowns
		if number >= 1e12 {
			names, towns = nigerianNames, nigerianTowns
		}
		pick := func(list []string) string { return list[rng.IntN(len(list))] }
		name := pick(names[0]) + " " + pick(names[1])
		if rng.IntN(20) == 0 {
			name = pick(names[1]) + ", " + pick(names[0]) // with a comma, so that the CSV has a quoted field
		}
		return []string{name, "", pick(towns)}
	}
	for len(good) < rowCount-duplicateCount-invalidCount {
		number := 254_700_000_000 + uint64(rng.IntN(100_000_000))
		if rng.IntN(5) < 2 {
			prefixes := []uint64{70, 80, 81, 90}
			number = 2_340_000_000_000 + prefixes[rng.IntN(len(prefixes))]*100_000_000 + uint64(rng.IntN(100_000_000))
		}
		parsed, err := sms.ParseMSISDN(fmt.Sprint(number), "KE")
		if err != nil || uint64(parsed) != number || seen[number] {
			continue
		}
		seen[number] = true
		good = append(good, number)
		rows = append(rows, person(number))
		rows[len(rows)-1][1] = writeNumber(rng, number)
	}
	for range duplicateCount {
		number := good[rng.IntN(len(good))]
		row := person(number)
		row[1] = writeNumber(rng, number)
		rows = append(rows, row)
	}
	for i := range invalidCount {
		row := person(254_712_345_678)
		row[1] = notNumbers[i%len(notNumbers)]
		rows = append(rows, row)
	}
	rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"Name", "Phone", "Town"})
	_ = w.WriteAll(rows) // writing to a Buffer cannot fail
	return out.Bytes()
}

// writeNumber returns the given number in a random notation. Nigerian numbers keep their calling
// code, because the demo reads national numbers as Kenyan numbers.
func writeNumber(rng *rand.Rand, number uint64) string {
	digits := fmt.Sprint(number)
	code, rest := digits[:3], digits[3:]
	spaced := rest[:3] + " " + rest[3:6] + " " + rest[6:]
	forms := []string{digits, digits, "+" + digits, "+" + code + " " + spaced, "00" + digits, code + "-" + rest, "(+" + code + ") " + spaced, " " + digits + " "}
	if code == "254" {
		forms = append(forms, "0"+rest, "0"+rest, "0"+rest, "0"+spaced, "0"+rest[:3]+"-"+rest[3:], rest, "0"+rest[:3]+"."+rest[3:6]+"."+rest[6:])
	}
	return forms[rng.IntN(len(forms))]
}

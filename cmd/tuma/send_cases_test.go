package main

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// listCase is a file of testdata/cases, and what tuma send must do with the file.
type listCase struct {
	file, body string
	flags      []string
	// problem is the expected error if tuma send must refuse the list. If tuma send must accept the
	// list, problem is empty and the fields below are the expected results.
	problem string
	// texts maps a number to its message. The field "skipped" has one text "line input reason code" for each skipped
	// recipient.
	texts   map[string]string
	skipped []string
	notes   []string
	sheet   string
}

// listCases are files that an earlier version of Tuma read wrongly. Each case states the right outcome.
var listCases = []listCase{
	{
		file: "c11-sep-tab.csv", body: "Hi {{name}}",
		texts: map[string]string{"254712345678": "Hi Amina"},
	},
	{
		file: "c11d-sep-trail.csv", body: "Hi {{name}}",
		texts: map[string]string{"254712345678": "Hi Amina"},
	},
	{
		file: "c30-eqquote.csv", body: "Hi {{name}}",
		texts: map[string]string{"254712345678": "Hi Amina", "254722345678": "Hi Otieno"},
	},
	{
		file: "c47.tsv", body: "Hi",
		texts: map[string]string{"254712345678": "Hi"},
	},
	{
		file: "c48.tsv", body: "Hi",
		problem: "c48.tsv:1: the header has two columns of numbers, Phone and Number: choose one with --column",
	},
	{
		file: "c48.tsv", body: "Hi, your number is {{number}}", flags: []string{"--column", "phone"},
		texts: map[string]string{"254712345678": "Hi, your number is 17"},
	},
	{
		file: "c9-macroman.csv", body: "Hi {{name}}",
		texts: map[string]string{"254712345678": "Hi Ren\u017de", "254722345678": "Hi No\u2018l"},
		notes: []string{`the encoding windows-1252 is a guess: line 2 reads "RenŽe" (choose another with --encoding)`},
	},
	{
		file: "c9-macroman.csv", body: "Hi {{name}}", flags: []string{"--encoding", "macintosh"},
		texts: map[string]string{"254712345678": "Hi Ren\u00e9e", "254722345678": "Hi No\u00ebl"},
	},
	{
		file: "j2-twokeys.jsonl", body: "Hi {{name}}",
		problem: `j2-twokeys.jsonl:2: the object has two members of one name, "Name" and "NAME": remove one`,
	},
	{
		file: "n1-negative.csv", body: "Hi {{name}}",
		texts: map[string]string{"254712345678": "Hi Right"},
		skipped: []string{
			"2 -712345424 invalid_number negative", "3 -8031234333 invalid_number negative",
			"4 (712345424) invalid_number negative", "5 -254712345424 invalid_number negative",
		},
	},
	{
		file: "n1-negative.xlsx", body: "Hi {{name}}", sheet: "Sheet",
		texts:   map[string]string{"254722345678": "Hi Otieno"},
		skipped: []string{"2 -712345424 invalid_number negative"},
	},
	{
		file: "nums.txt", body: "Hi",
		texts: map[string]string{"254141234567": "Hi", "254118234567": "Hi", "2290197123456": "Hi", "254712345678": "Hi"},
		skipped: []string{
			"3 0109234567 invalid_number invalid",
			"4 0122345678 invalid_number invalid",
			"5 0125345678 invalid_number invalid",
			"6 09181092333 invalid_number too_long",
			"7 0917 123 4567 invalid_number too_long",
			"8 07201234567 invalid_number too_long",
			"9 08191234567 invalid_number too_long",
			"10 0702 345 6789 invalid_number too_long",
			"12 +22997123456 invalid_number invalid",
			"14 +254 (0) 712 345 678 duplicate",
			"15 254 712 345678 Safaricom invalid_number not_a_number",
			"16 0712345678 (WhatsApp) invalid_number not_a_number",
			"17 Mobile: 0712345678 duplicate",
			"18 mob 0712345678 invalid_number not_a_number",
			"19 0712345678* invalid_number not_a_number",
			"20 *0712345678 invalid_number not_a_number",
			"21 '+254712345678@s.whatsapp.net invalid_number not_a_number",
			"22 254712345678@c.us invalid_number not_a_number",
			"23 sip:+254712345678@voip.example invalid_number not_a_number",
			"24 phone:+254712345678 duplicate",
			"25 TEL;CELL:0712345678 invalid_number not_a_number",
			"26 tel:+254-712-345-678;ext=12 invalid_number not_a_number",
			"27 https://api.whatsapp.com/send?phone=254712345678 invalid_number not_a_number",
			"28 0712345678, duplicate",
			"29 0712 345 678 / 0733 345 678 invalid_number several_numbers",
			"30 2.54712345678e+11 invalid_number lost_digits",
			"31 254712345678.000 invalid_number decimal",
			"32 254712345678.0000000 invalid_number decimal",
			"33 7.12345678E8 invalid_number lost_digits",
			"34 +254.712.345.678 duplicate",
			"35 254712345678- invalid_number negative",
			"36 (254)712345678 duplicate",
			"37 [+254] 712345678 duplicate",
			"38 0712345678\u200e duplicate",
			"39 \u202a+254 712 345678\u202c duplicate",
			"40 07123 45678  duplicate",
			"41 07 12 34 56 78 duplicate",
			"42 '+254712345678/ duplicate",
			"43 ~+254 712 345678 invalid_number not_a_number",
			"44 <+254712345678> invalid_number not_a_number",
			"45 +254712345678. duplicate",
			"46 \u22480712345678 invalid_number not_a_number",
			"47 \u0660\u0667\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668 duplicate",
			"48 07123456\uff178 duplicate",
			"49 0712345678 0712345678 invalid_number several_numbers",
			"50 0712345678 duplicate",
			"51 00 254 712 345 678 duplicate",
			"52 011 254 712 345 678 invalid_number too_long",
			"53 + 254 712 345 678 duplicate",
			"54 +254 0712345678 duplicate",
			"55 254-254712345678 invalid_number too_long",
			"56 254254712345678 invalid_number too_long",
			"57 +2540254712345678 invalid_number too_long",
			"58 7 12345678 duplicate",
			"59 O712345678 invalid_number not_a_number",
			"60 0712-345-678 ext. 5 invalid_number not_a_number",
			"61 1234 invalid_number too_short",
			"62 +88216 123 4567 invalid_number not_mobile",
			"63 +2547123456780 invalid_number too_long",
			"64 N/A invalid_number not_a_number",
			"65 null invalid_number not_a_number",
			"66 NaN invalid_number not_a_number",
			"67 undefined invalid_number not_a_number",
			"68 0 invalid_number too_short",
			"69 - invalid_number empty",
		},
	},
	{
		file: "w1-escape.xlsx", body: "At {{address}}", sheet: "List",
		texts: map[string]string{"254712345678": "At Moi Avenue\nNairobi", "254722345678": "At SKU_x0041_"},
	},
	{
		file: "w12-duration.xlsx", body: "{{hours}} {{discount}} {{time}} {{price}} {{overtime}}", sheet: "List",
		texts: map[string]string{"254712345678": "36:00 15% 18:00:00 KES 1,500.00 30:00:00"},
	},
	{
		file: "w3-formula-openpyxl.xlsx", body: "{{name}}: {{balance}}",
		problem: `sheet "Sheet", row 2: the formula in column A was never computed: open the workbook in a spreadsheet program and save it
tuma: testdata/cases/w3-formula-openpyxl.xlsx, sheet "Sheet": 2 rows, 2, 3: the formula in column C was never computed: open the workbook in a spreadsheet program and save it`,
	},
	{
		file: "w3-formula-openpyxl.xlsx", body: "Hi {{name}}",
		problem: `sheet "Sheet", row 2: the formula in column A was never computed: open the workbook in a spreadsheet program and save it`,
	},
	{
		file: "w4-formula-xlsxwriter.xlsx", body: "{{name}}: {{balance}}",
		problem: `sheet "Sheet1": 2 rows, 2, 3: the formula in column C was never computed: open the workbook in a spreadsheet program and save it`,
	},
	{
		file: "w4-formula-xlsxwriter.xlsx", body: "Hi {{name}}", sheet: "Sheet1",
		texts: map[string]string{"254712345678": "Hi Amina", "254722345678": "Hi Otieno"},
	},
	{
		file: "x2-utf16.xlsx", body: "Hi {{name}}", sheet: "List",
		texts: map[string]string{"254712345678": "Hi Amina"},
	},
}

// TestSend_ListsThatWereReadWrongly makes a dry run of each of listCases and compares the messages, the
// skipped recipients and the notes.
func TestSend_ListsThatWereReadWrongly(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	tested := map[string]bool{"pass-bom.txt": true} // TestCheck_SecretFileWithAByteOrderMark reads it
	for _, tt := range listCases {
		tested[tt.file] = true
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			h.checkList(t, tt)
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !tested[file.Name()] {
			t.Errorf("no test reads testdata/cases/%s", file.Name())
		}
	}
}

// checkList makes a dry run of the list and checks its outcome.
func (h *fixture) checkList(t *testing.T, want listCase) {
	t.Helper()
	skipped := filepath.Join(t.TempDir(), "skipped.csv")
	args := append([]string{"send", "--via", "kobo-main", "--body", want.body, "--file", filepath.Join("testdata", "cases", want.file)}, want.flags...)
	out, errOut, exit := h.run(append(args, "--dry-run", "--json", "--skipped-file", skipped)...)
	if want.problem != "" {
		if exit != exitMisuse || out != "" || !strings.Contains(errOut, want.problem) {
			t.Errorf("got exit %d, output %q and error %q; want exit 2 and the error %q", exit, out, errOut, want.problem)
		}
		return
	}
	if exit != exitDone {
		t.Fatalf("got exit %d and error %q; want 0", exit, errOut)
	}
	var f struct {
		WouldSend int `json:"would_send"`
		Skipped   int
		Samples   []struct{ MSISDN, Body string }
		Notes     []string
		Sheet     string
	}
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatalf("the output is not JSON: %v\n%s", err, out)
	}
	texts := map[string]string{}
	for _, s := range f.Samples {
		texts[s.MSISDN] = s.Body
	}
	if diff := cmp.Diff(want.texts, texts); diff != "" || f.WouldSend != len(want.texts) {
		t.Errorf("%d recipients would be sent; messages (-want +got): %s", f.WouldSend, diff)
	}
	if diff := cmp.Diff(append([]string{}, want.notes...), f.Notes); diff != "" {
		t.Errorf("notes (-want +got): %s", diff)
	}
	if diff := cmp.Diff(want.skipped, skippedRows(t, skipped)); diff != "" || f.Skipped != len(want.skipped) {
		t.Errorf("%d recipients are skipped; in the file (-want +got): %s", f.Skipped, diff)
	}
	if f.Sheet != want.sheet {
		t.Errorf("the sheet is %q; want %q", f.Sheet, want.sheet)
	}
}

// skippedRows returns the rows of a file that --skipped-file wrote, each as "line input reason code".
func skippedRows(t *testing.T, name string) (rows []string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	all, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] { // below the header row,input,reason,code,line
		rows = append(rows, strings.TrimSpace(strings.Join([]string{row[4], row[1], row[2], row[3]}, " ")))
	}
	return rows
}

// TestCheck_SecretFileWithAByteOrderMark checks that Tuma removes the byte order mark and the line end of a
// file with a password.
func TestCheck_SecretFileWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	secrets := map[string][]byte{"UTF-16 little endian": utf16Bytes("s3cret\r\n", false), "UTF-16 big endian": utf16Bytes("s3cret", true)}
	mark, err := os.ReadFile(filepath.Join("testdata", "cases", "pass-bom.txt"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["UTF-8"] = mark
	for name, secret := range secrets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t, simulator.Options{Users: map[string]string{"demo": "s3cret"}})
			config, err := os.ReadFile(filepath.Join(h.dir, "tuma.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			h.file("pass.txt", string(secret))
			h.file("tuma.yaml", strings.Replace(string(config), "pass: secret-word", "pass_file: "+filepath.Join(h.dir, "pass.txt"), 1))
			if out, errOut, exit := h.run("balance", "kobo-main"); exit != exitDone || !strings.Contains(out, "1000000000") {
				t.Errorf("balance with the password of the file: got exit %d and output %s%s; want the credit", exit, out, errOut)
			}
		})
	}
}

// utf16Bytes encodes a text in UTF-16 with a byte order mark.
func utf16Bytes(text string, bigEndian bool) (out []byte) {
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		if bigEndian {
			out = binary.BigEndian.AppendUint16(out, unit)
		} else {
			out = binary.LittleEndian.AppendUint16(out, unit)
		}
	}
	return out
}

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hit is one place where a phrase occurs.
type hit struct {
	file   string
	line   int
	found  string
	phrase *phrase
}

func (h hit) String() string {
	return fmt.Sprintf("%s:%d: %q → %s", h.file, h.line, h.found, h.phrase.instead)
}

// block is text that is read as one piece, so that a phrase is found across a line break.
type block struct {
	text  strings.Builder
	lines []int // the line number in the file, for each line of text
	quote bool  // the text is a string literal
}

func (b *block) add(line int, text string) {
	if len(b.lines) > 0 {
		b.text.WriteByte('\n')
	}
	b.text.WriteString(text)
	b.lines = append(b.lines, line)
}

// find returns the hits in a block. Where phrases overlap, only the phrase that comes first in the
// list counts.
func (r *rules) find(file string, b *block) []hit {
	text := b.text.String()
	if !r.any.MatchString(text) {
		return nil
	}
	var hits []hit
	var taken [][]int
	for i := range r.phrases {
		p := &r.phrases[i]
		var allowed [][]int
		if p.allowed != nil {
			allowed = p.allowed.FindAllStringIndex(text, -1)
		}
		for _, at := range p.pattern.FindAllStringIndex(text, -1) {
			overlaps := func(o []int) bool { return at[0] < o[1] && o[0] < at[1] }
			if slices.ContainsFunc(allowed, overlaps) || slices.ContainsFunc(taken, overlaps) {
				continue
			}
			taken = append(taken, at)
			line := b.lines[strings.Count(text[:at[0]], "\n")]
			hits = append(hits, hit{file, line, strings.Join(strings.Fields(text[at[0]:at[1]]), " "), p})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.line, b.line) })
	return hits
}

// goBlocks returns the comments and string literals of a Go file, and its number of
// comment lines that are not blank. Adjacent comment lines in the same column form one block.
func goBlocks(src []byte) (blocks []*block, commentLines int) {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	var comments *block
	last, lastColumn := -1, 0
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return blocks, commentLines
		}
		line, column := file.Line(pos), file.Position(pos).Column
		switch tok {
		case token.COMMENT:
			if comments == nil || line != last+1 || column != lastColumn {
				comments = &block{}
				blocks = append(blocks, comments)
			}
			for i, text := range strings.Split(literal, "\n") {
				text = strings.TrimSpace(text)
				for _, mark := range []string{"//", "/*"} {
					text = strings.TrimPrefix(text, mark)
				}
				text = strings.TrimSpace(strings.TrimSuffix(text, "*/"))
				if text != "" {
					commentLines++
				}
				comments.add(line+i, text)
				last, lastColumn = line+i, column
			}
		case token.STRING:
			text, err := strconv.Unquote(literal)
			if err != nil {
				continue
			}
			b := &block{quote: true}
			for i, part := range strings.Split(text, "\n") {
				at := line
				if literal[0] == '`' {
					at += i
				}
				b.add(at, part)
			}
			blocks = append(blocks, b)
			comments = nil
		case token.SEMICOLON: // the scanner adds a semicolon at a line end; this semicolon must not end a block
		default:
			comments = nil
		}
	}
}

// luaBlocks is like goBlocks, for the comments of a Lua file. It ignores long comments, --[[ ]].
func luaBlocks(src []byte) (blocks []*block, commentLines int) {
	var b *block
	for i, line := range strings.Split(string(src), "\n") {
		code, text, ok := cutLuaComment(line)
		if !ok {
			b = nil
			continue
		}
		if b == nil || strings.TrimSpace(code) != "" {
			b = &block{}
			blocks = append(blocks, b)
		}
		text = strings.TrimSpace(strings.TrimLeft(text, "-"))
		if text != "" {
			commentLines++
		}
		b.add(i+1, text)
	}
	return blocks, commentLines
}

// cutLuaComment cuts a line of Lua at the "--" that begins a comment. A "--" inside quotes does
// not begin a comment.
func cutLuaComment(line string) (code, comment string, ok bool) {
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.HasPrefix(line[i:], "--"):
			return line[:i], line[i+2:], true
		}
	}
	return line, "", false
}

var inlineCode = regexp.MustCompile("`[^`\n]*`")

// markdownBlocks returns the prose of a Markdown file, one block for each paragraph. It leaves out
// fenced and inline code and, if the parameter "tables" is false, also tables.
func markdownBlocks(src []byte, tables bool) []*block {
	var blocks []*block
	var b *block
	fenced := false
	for i, line := range strings.Split(string(src), "\n") {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "```") || strings.HasPrefix(text, "~~~") {
			fenced = !fenced
			b = nil
			continue
		}
		isRow := strings.HasPrefix(text, "|")
		if fenced || text == "" || isRow && !tables {
			b = nil
			continue
		}
		if b == nil || isRow {
			b = &block{}
			blocks = append(blocks, b)
		}
		b.add(i+1, inlineCode.ReplaceAllString(text, "`"))
	}
	return blocks
}

// count is the result of a measurement.
type count struct {
	commentLines       int
	inCode, inMarkdown []hit
}

// density returns the hits in code per 1,000 comment lines, with one decimal. Hits in
// string literals count too, although only comment lines are in the denominator.
func (c *count) density() float64 {
	if c.commentLines == 0 {
		return 0
	}
	return math.Round(float64(len(c.inCode))*10_000/float64(c.commentLines)) / 10
}

// measure reads the files of a tree below the given folders and counts their hits. The folder "."
// means the whole tree.
func (r *rules) measure(tree string, folders ...string) (count, error) {
	var c count
	for _, folder := range folders {
		folder = path.Clean(filepath.ToSlash(folder))
		err := fs.WalkDir(os.DirFS(tree), folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				switch entry.Name() {
				case "bin", "tmp", ".git", "testdata": // bin and tmp have generated files, and testdata folders quote pages of vendors
					return fs.SkipDir
				}
				return nil
			}
			return r.measureFile(&c, tree, name)
		})
		if err != nil {
			return count{}, err
		}
	}
	return c, nil
}

func (r *rules) measureFile(c *count, tree, name string) error {
	var blocks func([]byte) ([]*block, int)
	isMarkdown := false
	switch ext := path.Ext(name); {
	case ext == ".go":
		blocks = goBlocks
	case ext == ".lua":
		blocks = luaBlocks
	case ext == ".md":
		isMarkdown = true
		// Leave out the tables of the style guide, because they quote bad sentences.
		blocks = func(src []byte) ([]*block, int) { return markdownBlocks(src, name != "docs/style.md"), 0 }
	default:
		return nil
	}
	src, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	found, lines := blocks(src)
	c.commentLines += lines
	for _, b := range found {
		hits := r.find(name, b)
		if isMarkdown {
			c.inMarkdown = append(c.inMarkdown, hits...)
		} else {
			c.inCode = append(c.inCode, hits...)
		}
	}
	return nil
}

// check compares a measurement of the whole tree with the limits. It returns a message for each
// limit that is exceeded. It also returns a message for each limit that is too high: at least a tenth
// and at least two hits above the measurement.
func (r *rules) check(c count) []string {
	var wrong []string
	d := c.density()
	slack := (r.perThousand - d) * float64(c.commentLines) / 1000
	switch {
	case d > r.perThousand:
		wrong = append(wrong, fmt.Sprintf("%.1f hits per 1,000 comment lines, and words.txt allows %.1f. Rewrite some of these:\n%s", d, r.perThousand, worst(c.inCode)))
	case d <= 0.9*r.perThousand && slack >= 2:
		wrong = append(wrong, fmt.Sprintf("%.1f hits per 1,000 comment lines: lower per-thousand in words.txt from %.1f to %.1f", d, r.perThousand, d))
	}
	n := len(c.inMarkdown)
	switch {
	case n > r.markdown:
		wrong = append(wrong, fmt.Sprintf("%d hits in Markdown, and words.txt allows %d. Rewrite some of these:\n%s", n, r.markdown, worst(c.inMarkdown)))
	case 10*n <= 9*r.markdown && r.markdown-n >= 2:
		wrong = append(wrong, fmt.Sprintf("%d hits in Markdown: lower markdown in words.txt from %d to %d", n, r.markdown, n))
	}
	return wrong
}

// worst lists up to 40 hits. The hits of the files with the most hits come first.
func worst(hits []hit) string {
	const most = 40
	perFile := map[string]int{}
	for _, h := range hits {
		perFile[h.file]++
	}
	hits = slices.Clone(hits)
	slices.SortStableFunc(hits, func(a, b hit) int { return perFile[b.file] - perFile[a.file] })
	var b bytes.Buffer
	for _, h := range hits[:min(most, len(hits))] {
		fmt.Fprintln(&b, h)
	}
	if len(hits) > most {
		fmt.Fprintf(&b, "and %d more: go run ./internal/test/words -all\n", len(hits)-most)
	}
	return b.String()
}

// report prints a measurement by folder, and the number of hits of each phrase.
func (c *count) report(w *bufio.Writer, all bool) {
	hits := slices.Concat(c.inCode, c.inMarkdown)
	if all {
		for _, h := range hits {
			fmt.Fprintln(w, h)
		}
	} else {
		byPhrase := map[string]int{}
		for _, h := range hits {
			byPhrase[h.phrase.text]++
		}
		names := make([]string, 0, len(byPhrase))
		for name := range byPhrase {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(cmp.Compare(byPhrase[b], byPhrase[a]), cmp.Compare(a, b))
		})
		for _, name := range names {
			fmt.Fprintf(w, "%5d  %s\n", byPhrase[name], name)
		}
	}
	fmt.Fprintf(w, "%d hits in code, %d comment lines: %.1f per 1,000. %d hits in Markdown.\n",
		len(c.inCode), c.commentLines, c.density(), len(c.inMarkdown))
}

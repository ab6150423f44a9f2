package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Snippets are found by their tokens, so white space and comments do not matter. A snippet is
// searched for in three ways, and the first search that finds a place decides:
//
//  1. the same tokens in the file that the table names;
//  2. the same tokens in all files of that folder, because code moves between files;
//  3. the same tokens but for renamed identifiers, in all files of that folder.
//
// The decisive search must find exactly one place.

// folder holds the files of one extension in one directory, without tests.
type folder struct {
	language
	texts  map[string]string
	tokens map[string][]token
}

// source is a source tree, whose folders are read and scanned only once. It is not safe for
// concurrent use.
type source struct {
	tree    fs.FS
	folders map[string]*folder
}

func newSource(tree fs.FS) *source { return &source{tree, map[string]*folder{}} }

// folderOf returns the folder of a file, even if the file itself was renamed.
func (s *source) folderOf(file string) (*folder, error) {
	key := path.Dir(file) + path.Ext(file)
	if f, ok := s.folders[key]; ok {
		return f, nil
	}
	f, err := readFolder(s.tree, file)
	if err != nil {
		return nil, err
	}
	s.folders[key] = f
	return f, nil
}

// readFolder reads the files beside file that have its extension.
func readFolder(tree fs.FS, file string) (*folder, error) {
	names, err := fs.Glob(tree, path.Join(path.Dir(file), "*"+path.Ext(file)))
	if err != nil {
		return nil, fmt.Errorf("list the files beside %s: %w", file, err)
	}
	f := &folder{language: lua, texts: map[string]string{}, tokens: map[string][]token{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		f.texts[name] = string(text)
	}
	if path.Ext(file) == ".go" {
		f.language = golang(f.texts)
	}
	for name, text := range f.texts {
		if f.tokens[name], err = f.scan(name, text); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// place is where a snippet fits.
type place struct {
	file        string
	first, last int // indices of the first and the last token of the place
	from, to    int // the byte range of the place
	line        int
	renames     renames
}

// find returns the only place where e.old fits.
func (f *folder) find(e edit) (place, error) {
	snippet, err := f.scan(e.file, e.old)
	if err != nil {
		return place{}, fmt.Errorf("a snippet must not begin or end within a string: %w", err)
	}
	if len(snippet) == 0 {
		return place{}, fmt.Errorf("snippet %q for %s must contain code", e.old, e.file)
	}
	all := slices.Sorted(maps.Keys(f.texts))
	places := f.search([]string{e.file}, snippet, exact)
	if len(places) == 0 {
		places = f.search(all, snippet, exact)
	}
	if len(places) == 0 {
		places = f.search(all, snippet, renamed)
	}
	switch len(places) {
	case 0:
		return place{}, fmt.Errorf("snippet %q fits nowhere in %s/*%s: the code has changed, so write the snippet and its replacement anew",
			e.old, path.Dir(e.file), path.Ext(e.file))
	case 1:
		return places[0], nil
	}
	var where []string
	for _, p := range places[:min(len(places), 5)] {
		where = append(where, fmt.Sprintf("%s:%d", p.file, p.line))
	}
	if len(places) > len(where) {
		where = append(where, "...")
	}
	return place{}, fmt.Errorf("snippet %q for %s fits %d places, write a longer one: %s", e.old, e.file, len(places), strings.Join(where, ", "))
}

func (f *folder) search(files []string, snippet []token, fits func(snippet, code []token) (renames, bool)) (places []place) {
	for _, file := range files {
		code := f.tokens[file]
		for i := range len(code) - len(snippet) + 1 {
			last := i + len(snippet) - 1
			if r, ok := fits(snippet, code[i:last+1]); ok {
				from, to := code[i].from, code[last].to
				places = append(places, place{file, i, last, from, to, 1 + strings.Count(f.texts[file][:from], "\n"), r})
			}
		}
	}
	return places
}

// renames maps the identifiers of a snippet to the identifiers of the code. A member and another
// identifier can share a name and be renamed separately, e.g. a method and a variable.
type renames map[identifier]string

type identifier struct {
	name   string
	member bool
}

// exact reports whether the code has the snippet's tokens.
func exact(snippet, code []token) (renames, bool) {
	if !slices.EqualFunc(snippet, code, func(a, b token) bool { return a.text == b.text }) {
		return nil, false
	}
	return renamed(snippet, code)
}

// renamed reports whether the code has the snippet's tokens after a rename of identifiers. Two
// different identifiers of the snippet never have the same name in the code.
func renamed(snippet, code []token) (renames, bool) {
	for i, s := range snippet {
		if c := code[i]; s.text != c.text && !(s.name && c.name) {
			return nil, false
		}
	}
	to, back := renames{}, renames{}
	for i, s := range snippet {
		c := code[i]
		if !s.name || !c.name {
			continue
		}
		now, known := to[identifier{s.text, s.member}]
		was, taken := back[identifier{c.text, s.member}]
		if known && now != c.text || taken && was != s.text {
			return nil, false
		}
		to[identifier{s.text, s.member}], back[identifier{c.text, s.member}] = c.text, s.text
	}
	return to, true
}

// of returns the present name of an identifier, and false if the renames do not contain it.
func (r renames) of(x identifier) (string, bool) {
	if now, ok := r[x]; ok {
		return now, true
	}
	now, ok := r[identifier{x.name, !x.member}]
	return now, ok
}

// common returns the renames of each identifier for which all elements that contain it have the
// same name.
func common(all []renames) renames {
	out, differ := renames{}, map[identifier]bool{}
	for _, r := range all {
		for x, now := range r {
			if other, ok := out[x]; ok && other != now {
				differ[x] = true
			}
			out[x] = now
		}
	}
	maps.DeleteFunc(out, func(x identifier, _ string) bool { return differ[x] })
	return out
}

// rename applies renames to the new text of an edit. For each identifier it uses own if own
// contains it, else others.
func (f *folder) rename(file, text string, own, others renames) (string, error) {
	tokens, err := f.scan(file, text)
	if err != nil {
		return "", fmt.Errorf("a replacement must not begin or end within a string: %w", err)
	}
	for _, t := range slices.Backward(tokens) {
		now, ok := own.of(identifier{t.text, t.member})
		if !ok {
			now, ok = others.of(identifier{t.text, t.member})
		}
		if ok && t.name {
			text = text[:t.from] + now + text[t.to:]
		}
	}
	return text, nil
}

// change is an edit with its place and with the text to write there.
type change struct {
	place
	text string
}

// changes finds the places of the mutant's edits in the unchanged tree. If a replacement uses names
// that its own snippet lacks, they are renamed as in the mutant's other snippets for the same
// folder.
func (m mutant) changes(s *source) (changes []change, folders []*folder, err error) {
	found := map[*folder][]renames{}
	for _, e := range m.edits {
		f, err := s.folderOf(e.file)
		if err != nil {
			return nil, nil, err
		}
		p, err := f.find(e)
		if err != nil {
			return nil, nil, err
		}
		changes, folders = append(changes, change{place: p}), append(folders, f)
		found[f] = append(found[f], p.renames)
	}
	for i, e := range m.edits {
		c, f := &changes[i], folders[i]
		if c.text, err = f.rename(e.file, strings.TrimSpace(e.new), c.renames, common(found[f])); err != nil {
			return nil, nil, err
		}
		if f.texts[c.file][c.from:c.to] == c.text {
			return nil, nil, fmt.Errorf("edit of %s must change something: %q", e.file, e.old)
		}
		for j, d := range changes[:i] {
			if d.file == c.file && d.from < c.to && c.from < d.to {
				return nil, nil, fmt.Errorf("two edits of %s overlap: %q and %q", e.file, m.edits[j].old, e.old)
			}
		}
	}
	return changes, folders, nil
}

// apply returns the files that the mutant changes, with their new text.
func (m mutant) apply(s *source) (map[string]string, error) {
	changes, folders, err := m.changes(s)
	if err != nil {
		return nil, err
	}
	changed := map[string]string{}
	for i, c := range changes {
		changed[c.file] = folders[i].texts[c.file]
	}
	// The loop applies the changes from the end of each file to its start, so that the offsets of the
	// remaining changes stay valid.
	slices.SortStableFunc(changes, func(a, b change) int { return b.from - a.from })
	for _, c := range changes {
		changed[c.file] = changed[c.file][:c.from] + c.text + changed[c.file][c.to:]
	}
	if len(changed) == 0 {
		return nil, errors.New("mutant must have an edit")
	}
	return changed, nil
}

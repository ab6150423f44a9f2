package recipients

import (
	"archive/zip"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
)

// texts are the texts that the cells of a workbook share, which may be more than fit
// into memory: beyond some they go to a file.
type sharedStrings struct {
	part *zip.File
	n    int
	// marks are where each block of blockTexts texts begins.
	marks []int64
	size  int64
	mem   []byte
	file  *os.File
	// temporary: the file has to be removed.
	temporary bool
	// blocks are those read last, by number.
	blocks map[int][]byte
	order  []int
}

const (
	stringsInMemory = 4 << 20
	stringsPerBlock = 64
	blocksKept      = 256
)

// load reads them all.
func (t *sharedStrings) load(w *workbook) (err error) {
	in, err := w.open(t.part, maxSharedStrings)
	if err != nil {
		return err
	}
	defer in.close()
	var text []byte
	inText, phonetic := false, 0
	for {
		token, err := in.next()
		if errors.Is(err, io.EOF) {
			return t.spill(0)
		}
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "si":
				text = text[:0]
			case "t":
				inText = phonetic == 0
			case "rPh": // how to pronounce it
				phonetic++
			}
		case xml.CharData:
			if inText {
				if text = append(text, e...); len(text) > maxToken {
					return w.errorHere("a cell has more than %d bytes", maxToken)
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "t":
				inText = false
			case "rPh":
				phonetic--
			case "si":
				if err := t.add(text); err != nil {
					return fmt.Errorf("read %s: %w", w.o.Name, err)
				}
			}
		}
	}
}

func (t *sharedStrings) add(text []byte) error {
	if t.n%stringsPerBlock == 0 {
		t.marks = append(t.marks, t.size)
	}
	t.n++
	before := len(t.mem)
	t.mem = binary.AppendUvarint(t.mem, uint64(len(text)))
	t.mem = append(t.mem, text...)
	t.size += int64(len(t.mem) - before)
	return t.spill(stringsInMemory)
}

// spill writes what is in memory to the file, if it is more than so much, and once
// there is a file.
func (t *sharedStrings) spill(beyond int) (err error) {
	if len(t.mem) <= beyond || beyond == 0 && t.file == nil {
		return nil
	}
	if t.file == nil {
		if t.file, err = os.CreateTemp("", "tuma-texts-*"); err != nil {
			return err
		}
		t.temporary = os.Remove(t.file.Name()) != nil
		t.blocks = map[int][]byte{}
	}
	_, err = t.file.Write(t.mem)
	t.mem = t.mem[:0]
	return err
}

func (t *sharedStrings) close() {
	if t == nil || t.file == nil {
		return
	}
	_ = t.file.Close() // it is of no use any more
	if t.temporary {
		_ = os.Remove(t.file.Name()) // nothing else can be done about it
	}
}

var errNoText = errors.New("a cell has a text that is not there")

// at returns the text of that number, valid until the next call.
func (t *sharedStrings) at(i int) ([]byte, error) {
	if t == nil || i < 0 || i >= t.n {
		return nil, errNoText
	}
	b, err := t.block(i / stringsPerBlock)
	if err != nil {
		return nil, err
	}
	for range i % stringsPerBlock {
		n, w := binary.Uvarint(b)
		b = b[w+int(n):]
	}
	n, w := binary.Uvarint(b)
	return b[w : w+int(n)], nil
}

func (t *sharedStrings) block(k int) ([]byte, error) {
	from, to := t.marks[k], t.size
	if k+1 < len(t.marks) {
		to = t.marks[k+1]
	}
	if t.file == nil {
		return t.mem[from:to], nil
	}
	if b, ok := t.blocks[k]; ok {
		return b, nil
	}
	var b []byte
	if len(t.order) == blocksKept {
		b = t.blocks[t.order[0]][:0]
		delete(t.blocks, t.order[0])
		t.order = t.order[1:]
	}
	if int64(cap(b)) < to-from {
		b = make([]byte, to-from)
	}
	b = b[:to-from]
	if _, err := t.file.ReadAt(b, from); err != nil {
		return nil, err
	}
	t.blocks[k] = b
	t.order = append(t.order, k)
	return b, nil
}

// Package archive writes tar and zip files whose bytes depend only on their contents. The entries are sorted, and
// all of them have the same time and the owner 0.
package archive

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// File is one entry of an archive. The archive also gets entries for the folders that contain its files.
type File struct {
	// Name is the path with slashes, without a leading slash.
	Name string
	// Mode has the permissions, such as 0o755.
	Mode int64
	// Body is the content. It is empty for a folder.
	Body []byte
	// Folder marks a folder, such as /tmp.
	Folder bool
}

// sorted returns the files, and all folders that contain them, sorted by name. It returns an error if two entries
// have the same name.
func sorted(files []File) ([]File, error) {
	all := slices.Clone(files)
	have := map[string]bool{}
	for _, f := range files {
		if have[f.Name] {
			return nil, fmt.Errorf("archive: %s is there twice", f.Name)
		}
		have[f.Name] = true
	}
	for _, f := range files {
		for dir := path.Dir(f.Name); dir != "." && !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			all = append(all, File{Name: dir, Mode: 0o755, Folder: true})
		}
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Tar writes files as a tar archive. The parameter "modified" is the time of every entry.
func Tar(w io.Writer, files []File, modified time.Time) error {
	all, err := sorted(files)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, f := range all {
		h := &tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Body)), ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if f.Folder {
			h.Name, h.Typeflag = f.Name+"/", tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("tar %s: %w", f.Name, err)
		}
		if _, err := t.Write(f.Body); err != nil {
			return fmt.Errorf("tar %s: %w", f.Name, err)
		}
	}
	return t.Close()
}

// TarGz is like Tar, but compresses the archive with gzip.
func TarGz(w io.Writer, files []File, modified time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := Tar(z, files, modified); err != nil {
		return err
	}
	return z.Close()
}

// Zip writes files as a zip archive. The parameter "modified" is the time of every entry.
func Zip(w io.Writer, files []File, modified time.Time) error {
	all, err := sorted(files)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	for _, f := range all {
		if f.Folder {
			continue
		}
		h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: modified}
		h.SetMode(fs.FileMode(f.Mode))
		entry, err := z.CreateHeader(h)
		if err != nil {
			return fmt.Errorf("zip %s: %w", f.Name, err)
		}
		if _, err := entry.Write(f.Body); err != nil {
			return fmt.Errorf("zip %s: %w", f.Name, err)
		}
	}
	return z.Close()
}

package ssh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// A file is sent into one beside it that is named after what it is to hold. A cut
// leaves that behind, and the next upload of the same content goes on at its end.
// Those of other contents are of no use any more.
const offsetScript = `for f in "$1".*` + newSuffix + `; do [ "$f" = "$2" ] || rm -f "$f"; done
if [ -f "$2" ]; then stat -c %s "$2"; else echo 0; fi`

// badSum is the exit status of uploadScript for what cannot become the file.
const badSum = 9

// To the script a cut connection looks like the end of the input: too short a file
// is left for the next time. A full disk is given its room back.
const uploadScript = `umask 077; new=$3
[ "$4" -gt 0 ] || : >"$new" || exit 1
cat >>"$new" || { rm -f "$new"; exit 1; }
size=$(stat -c %s "$new") || exit 1
[ "$size" -ge "$5" ] || { echo "$size of $5 bytes came" >&2; exit 1; }
sum=$(sha256sum <"$new") || exit 1
[ "${sum%% *}" = "$6" ] || { rm -f "$new"; echo "what came has another SHA-256" >&2; exit 9; }
chmod "$2" "$new" && sync "$new" && mv -fT "$new" "$1"`

// Upload streams a large file. One that can seek is taken up where a connection
// that was cut has left it.
func (h *Host) Upload(ctx context.Context, path string, r io.Reader, mode fs.FileMode, progress func(int64)) error {
	content, ok := r.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("upload %s: %T cannot be read twice", path, r)
	}
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	if err != nil {
		return fmt.Errorf("read what is to become %s: %w", path, err)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	staging := path + "." + digest[:16] + newSuffix
	out, err := h.Run(ctx, host.Shell("upload-offset", offsetScript, path, staging))
	if err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	offset, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil || offset > size {
		offset = 0
	}
	send := func(offset int64) error {
		if _, err := content.Seek(offset, io.SeekStart); err != nil {
			return err
		}
		c := host.Shell("upload", uploadScript, path, octal(mode), staging, fmt.Sprint(offset), fmt.Sprint(size), digest)
		_, err := h.runWith(ctx, c, &counter{r: content, n: offset, progress: progress})
		return err
	}
	err = send(offset)
	var failed *host.CommandError
	if errors.As(err, &failed) && failed.Status == badSum && offset > 0 {
		// A power cut may have left less on the disk than the file's length says.
		err = send(0)
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	return nil
}

// counter tells progress.
type counter struct {
	r        io.Reader
	n        int64
	progress func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.progress != nil && n > 0 {
		c.progress(c.n)
	}
	return n, err
}

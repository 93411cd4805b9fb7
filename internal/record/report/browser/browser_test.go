// Package browser opens reports in a real browser. It is a separate module, so
// that the plugin's users never download the browser driver.
package browser_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/orgami/packer-plugin-orgami/internal/record/report"
	"github.com/orgami/packer-plugin-orgami/internal/record/report/example"
)

// chromium is the browser.
func chromium(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ORGAMI_TEST_CHROMIUM")
	if path == "" {
		t.Fatal("name the browser in ORGAMI_TEST_CHROMIUM, or let 'make test-browser' do it")
	}
	return path
}

// opened is a report in a browser.
type opened struct {
	context.Context

	requests []string
	errors   []string
}

// open opens a report with the given numbers of accounts and Regions.
func open(t *testing.T, r report.Report, before ...chromedp.Action) *opened {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(file, r); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "orgami-browser-") // t.TempDir fails because of files that the browser's last child writes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.WindowSize(1400, 1000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(browser) // waits until it is gone
		closeBrowser()
	})
	limited, cancel := context.WithTimeout(browser, time.Minute)
	t.Cleanup(cancel)
	o := &opened{Context: limited}
	chromedp.ListenTarget(limited, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			o.requests = append(o.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			o.errors = append(o.errors, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			o.errors = append(o.errors, string(e.Type))
		}
	})
	o.run(t, append(append([]chromedp.Action{network.Enable()}, before...), chromedp.Navigate("file://"+path), chromedp.WaitVisible("h1", chromedp.ByQuery))...)
	return o
}

func (o *opened) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(o, actions...); err != nil {
		t.Fatal(err)
	}
}

// is returns the value of an expression in the page.
func is[T any](t *testing.T, o *opened, expression string) T {
	t.Helper()
	var value T
	o.run(t, chromedp.Evaluate(expression, &value))
	return value
}

// picture saves a screenshot.
func (o *opened) picture(t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv("ORGAMI_SCREENSHOTS")
	if folder == "" {
		return
	}
	var png []byte
	o.run(t, chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadsNothingElse(t *testing.T) {
	o := open(t, example.Of(40, 6))
	for _, url := range o.requests {
		if !strings.HasPrefix(url, "file://") && !strings.HasPrefix(url, "data:") {
			t.Errorf("it asked for %s", url)
		}
	}
	if len(o.errors) > 0 {
		t.Errorf("errors: %v", o.errors)
	}
	if rows := is[int](t, o, `document.querySelectorAll("#grid tbody tr").length`); rows != 40 {
		t.Errorf("%d rows", rows)
	}
}

// Keyboard only: one tab stop, arrow keys within it, Enter opens the reasons below the
// row, Escape closes them.
func TestKeyboard(t *testing.T) {
	o := open(t, example.Of(40, 6))
	o.run(t, chromedp.Focus("#grid td[tabindex='0']", chromedp.ByQuery))
	// Regions and accounts with problems come first.
	if got := is[string](t, o, `document.activeElement.getAttribute("aria-label")`); got != "200000000000, ap-southeast-2: 3 fails" {
		t.Fatalf("the first cell is %q", got)
	}
	o.run(t, chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.Enter))
	if got := is[string](t, o, `document.querySelector(".panel h3").textContent`); got != "200000000007 in ap-northeast-1" {
		t.Errorf("the reasons are those of %q", got)
	}
	if got := is[string](t, o, `document.activeElement.parentNode.nextElementSibling.className`); got != "detail" {
		t.Errorf("below the row is %q", got)
	}
	o.run(t, chromedp.KeyEvent(kb.Escape))
	if is[bool](t, o, `document.querySelector(".detail") !== null`) {
		t.Error("Escape doesn't close the reasons")
	}
	o.run(t, chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.PageDown))
	const visible = `(() => { const cell = document.activeElement.getBoundingClientRect(), grid = document.querySelector("#matrix .scroll").getBoundingClientRect(); return cell.right <= grid.right + 1 && cell.bottom <= grid.bottom + 1 })()`
	if !is[bool](t, o, visible) {
		t.Error("the cell is not in sight")
	}
	if stops := is[int](t, o, `document.querySelectorAll("#grid td[tabindex='0']").length`); stops != 1 {
		t.Errorf("the grid has %d stops for the tab key", stops)
	}
}

func TestFilter(t *testing.T) {
	o := open(t, example.Of(40, 6))
	o.run(t, chromedp.SendKeys("#account", "0007", chromedp.ByQuery), chromedp.SendKeys("#region", "north", chromedp.ByQuery))
	if got := is[string](t, o, `document.querySelector("#shown").textContent`); got != "1 of 40 accounts, 3 of 6 Regions" {
		t.Errorf("filtered: %s", got)
	}
	// With the last Region's key disabled all accounts have a problem; in the
	// others few have.
	two := example.Of(40, 6)
	two.Launches = two.Launches[:len(two.Launches)-3]
	o = open(t, two)
	o.run(t, chromedp.Click("#problems-only", chromedp.ByQuery))
	if got := is[string](t, o, `document.querySelector("#shown").textContent`); got != "9 of 40 accounts, 2 of 5 Regions" {
		t.Errorf("problems only: %s", got)
	}
	o.run(t, chromedp.Click("#grid tbody tr:nth-child(2) td", chromedp.ByQuery))
	if got := is[string](t, o, `document.querySelector(".panel").textContent`); !strings.Contains(got, "no grant on the key") {
		t.Errorf("a click tells %q", got)
	}
}

// 60 accounts in 17 Regions need no scrolling sideways on a desktop.
func TestDesktop(t *testing.T) {
	o := open(t, example.Of(60, 17), chromedp.EmulateViewport(1440, 1000))
	if is[bool](t, o, `(() => { const s = document.querySelector("#matrix .scroll"); return s.scrollWidth > s.clientWidth })()`) {
		t.Error("the table scrolls sideways")
	}
	o.picture(t, "desktop")
}

// Screenshots of every state of a publication.
func TestStates(t *testing.T) {
	for name, r := range example.States() {
		for _, scheme := range []string{"light", "dark"} {
			for device, viewport := range map[string]chromedp.Action{"desktop": chromedp.EmulateViewport(1440, 1000), "phone": chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)} {
				t.Run(name+" "+scheme+" "+device, func(t *testing.T) {
					o := open(t, r, viewport, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
					o.picture(t, name+"-"+scheme+"-"+device)
					if width, limit := is[int](t, o, `document.documentElement.scrollWidth`), is[int](t, o, `innerWidth`); width > limit {
						t.Errorf("the page is %d wide, the window %d", width, limit)
					}
					if is[bool](t, o, `document.querySelector("#grid td") !== null`) {
						o.run(t, chromedp.Click("#grid td", chromedp.ByQuery))
						o.picture(t, name+"-"+scheme+"-"+device+"-chosen")
					}
					for _, violation := range axe(t, o) {
						t.Errorf("axe: %s", violation)
					}
				})
			}
		}
	}
}

// axe returns the violations that axe-core finds.
func axe(t *testing.T, o *opened) []string {
	t.Helper()
	path := os.Getenv("ORGAMI_TEST_AXE")
	if path == "" {
		t.Skip("ORGAMI_TEST_AXE is not set: 'make test-browser' does it")
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var violations []string
	o.run(t, chromedp.Evaluate(string(source)+"; 0", nil),
		chromedp.Evaluate(`axe.run().then((r) => r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120) + " " + (n.any[0]?.message ?? "")).join(" | ")))`, &violations,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return violations
}

// On a phone only the table scrolls sideways, and the reasons open within the window.
func TestPhone(t *testing.T) {
	o := open(t, example.Of(40, 17), chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	if width := is[int](t, o, `document.documentElement.scrollWidth`); width > 390 {
		t.Errorf("the page is %d wide", width)
	}
	if !is[bool](t, o, `document.querySelector("#matrix .scroll").scrollWidth > 390`) {
		t.Error("the table does not scroll")
	}
	o.run(t, chromedp.Click("#grid tbody tr:nth-child(3) td:nth-child(4)", chromedp.ByQuery))
	if !is[bool](t, o, `(() => { const p = document.querySelector(".panel").getBoundingClientRect(); return p.left >= 0 && p.right <= 390 })()`) {
		t.Error("the reasons are outside the window")
	}
}

func TestPrint(t *testing.T) {
	o := open(t, example.Of(40, 6))
	var pdf []byte
	o.run(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPrintBackground(true).Do(ctx)
		return err
	}))
	if !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 10_000 {
		t.Errorf("%d bytes of PDF", len(pdf))
	}
	if folder := os.Getenv("ORGAMI_SCREENSHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "print.pdf"), pdf, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A screen reader finds the cells by name.
func TestAccessibility(t *testing.T) {
	o := open(t, example.Of(3, 2))
	var nodes []*accessibility.Node
	o.run(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		nodes, err = accessibility.GetFullAXTree().Do(ctx)
		return err
	}))
	roles := map[string]int{}
	for _, n := range nodes {
		if n.Role == nil || n.Ignored {
			continue
		}
		role := strings.Trim(string(n.Role.Value), `"`)
		roles[role]++
		name := ""
		if n.Name != nil {
			name = string(n.Name.Value)
		}
		if (role == "gridcell" || role == "button" || role == "searchbox" || role == "checkbox") && strings.Trim(name, `"`) == "" {
			t.Errorf("a %s has no name", role)
		}
	}
	if roles["gridcell"] != 6 || roles["rowheader"] < 3 || roles["columnheader"] < 3 || roles["main"] != 1 {
		t.Errorf("the tree has %v", roles)
	}
}

// A report on 1,000 accounts in 17 Regions is usable in less than a second,
// as the page itself measures.
func TestLarge(t *testing.T) {
	best := math.Inf(1) // the fastest of three, because other tests may use the machine
	for range 3 {
		o := open(t, example.Of(1_000, 17))
		best = min(best, is[float64](t, o, `performance.getEntriesByName("interactive")[0].startTime`))
		o.picture(t, "large")
		if best < 1_000 {
			break
		}
	}
	t.Logf("interactive after %.0f ms", best)
	if best >= 1_000 {
		t.Errorf("it takes %.0f ms", best)
	}
}

// Everything that has to pass, in order, and one line at the end that says how it went.
import {spawnSync} from 'node:child_process';
import {readFileSync, rmSync, statSync, readdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';

const env = {...process.env, CI: '1', EXPO_NO_TELEMETRY: '1', EXPO_OFFLINE: '1'};
let passed = 0;
let failed = 0;

function run(name, command, args, count) {
  console.log(`\n== ${name}`);
  const {status, stdout} = spawnSync(command, args, {env, encoding: 'utf8', stdio: ['ignore', count ? 'pipe' : 'inherit', 'inherit'], maxBuffer: 1 << 28});
  if (count) {
    process.stdout.write(stdout ?? '');
    const [yes, no] = count(stdout ?? '');
    passed += yes;
    failed += no;
    // A crash before the first count is a failure too.
    if (status !== 0 && no === 0) failed++;
  } else if (status === 0) passed++;
  else failed++;
  return status === 0;
}

run('types', 'npx', ['tsc', '--noEmit']);
run('lint', 'npx', ['eslint', '.', '--max-warnings', '0']);

const report = join(tmpdir(), `jest-${process.pid}.json`);
run('tests', 'npx', ['jest', '--json', `--outputFile=${report}`, '--silent'], () => {
  try {
    const {numPassedTests, numFailedTests, numRuntimeErrorTestSuites} = JSON.parse(readFileSync(report, 'utf8'));
    return [numPassedTests, numFailedTests + numRuntimeErrorTestSuites];
  } catch {
    return [0, 1];
  } finally {
    rmSync(report, {force: true});
  }
});

if (run('web build', 'npm', ['run', '--silent', 'build:web'])) {
  const folder = 'dist/_expo/static/js/web';
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
    const {size} = statSync(join(folder, file));
    const packed = gzipSync(readFileSync(join(folder, file))).length;
    const fits = size <= 1_800_000 && packed <= 550_000;
    console.log(`${fits ? 'ok   ' : 'FAIL '} ${file}: ${size} bytes, ${packed} gzipped (at most 1800000 and 550000)`);
    if (fits) passed++;
    else failed++;
  }
  run('walk', 'node', ['tests/walk/walk.mjs'], (text) => {
    const last = /(\d+) passed, (\d+) failed\s*$/.exec(text);
    return last ? [Number(last[1]), Number(last[2])] : [0, 0];
  });
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

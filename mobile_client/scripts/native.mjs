// Makes the native projects as `npx expo prebuild` does, in a folder of their own, and looks at what stands in them: the
// permissions, the rule for plain HTTP, the icons, the links and the right-to-left switch.
import {spawnSync} from 'node:child_process';
import {cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const app = new URL('..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'hybrid-ai-native-'));
const wrong = [];
const check = (truth, words) => {
  if (!truth) wrong.push(words);
};

try {
  for (const name of ['app.json', 'package.json', 'index.ts', 'App.tsx', 'tsconfig.json', 'babel.config.js', 'assets', 'src']) {
    cpSync(join(app, name), join(folder, name), {recursive: true});
  }
  symlinkSync(join(app, 'node_modules'), join(folder, 'node_modules'));
  const env = {...process.env, CI: '1', EXPO_NO_TELEMETRY: '1', EXPO_OFFLINE: '1'};
  const {status} = spawnSync('npx', ['expo', 'prebuild', '--no-install'], {cwd: folder, env, stdio: 'inherit'});
  if (status !== 0) throw new Error('expo prebuild failed');

  const manifest = readFileSync(join(folder, 'android/app/src/main/AndroidManifest.xml'), 'utf8');
  const uses = [...manifest.matchAll(/<uses-permission android:name="android\.permission\.([A-Z_]+)"([^>]*)>/g)];
  const asked = uses.filter(([, , more]) => !more.includes('tools:node="remove"')).map(([, name]) => name).sort();
  const wanted = ['CAMERA', 'INTERNET', 'MODIFY_AUDIO_SETTINGS', 'RECORD_AUDIO', 'VIBRATE'];
  check(asked.join() === wanted.join(), `Android asks for ${asked}, and needs ${wanted}`);
  check(manifest.includes('android:usesCleartextTraffic="true"'), 'Android refuses servers over plain HTTP');
  check(manifest.includes('android:supportsRtl="true"'), 'Android does not turn around for right-to-left languages');
  check(manifest.includes('android:scheme="hybridai"'), 'Android does not open our links');
  const resources = join(folder, 'android/app/src/main/res');
  for (const density of ['mdpi', 'hdpi', 'xhdpi', 'xxhdpi', 'xxxhdpi']) {
    const files = readdirSync(join(resources, `mipmap-${density}`)).join();
    check(/ic_launcher\./.test(files) && /ic_launcher_foreground\./.test(files), `Android has no icon for ${density}`);
  }

  const project = join(folder, 'ios', readdirSync(join(folder, 'ios')).find((name) => existsSync(join(folder, 'ios', name, 'Info.plist'))));
  const plist = readFileSync(join(project, 'Info.plist'), 'utf8');
  const reasons = [...plist.matchAll(/<key>NS(\w+)UsageDescription<\/key>\s*<string>([^<]+)</g)].map(([, name]) => name).sort();
  const needed = ['Camera', 'LocalNetwork', 'Microphone', 'PhotoLibrary'];
  check(reasons.join() === needed.join(), `iOS gives reasons for ${reasons}, and needs ${needed}`);
  check(/<key>NSAllowsArbitraryLoads<\/key>\s*<true\/>/.test(plist), 'iOS refuses servers over plain HTTP');
  check(/<key>ExpoLocalization_supportsRTL<\/key>\s*<true\/>/.test(plist), 'iOS does not turn around for right-to-left languages');
  check(plist.includes('<string>hybridai</string>'), 'iOS does not open our links');
  const icon = readFileSync(join(project, 'Images.xcassets/AppIcon.appiconset/App-Icon-1024x1024@1x.png'));
  // Apple refuses icons that can be seen through: colour type 2 has no alpha.
  check(icon.readUInt32BE(16) === 1024 && icon[25] === 2, `the icon of iOS has ${icon.readUInt32BE(16)} pixels and colour type ${icon[25]}`);
} finally {
  rmSync(folder, {recursive: true, force: true});
}

for (const words of wrong) console.error(`FAIL  ${words}`);
if (wrong.length === 0) console.log('ok    permissions, plain HTTP, icons, links and right-to-left in the native projects');
process.exit(wrong.length === 0 ? 0 : 1);

import {useState} from 'react';
import {Platform, View} from 'react-native';

import {useServices} from '../hooks/useServices';
import {useText} from '../i18n';
import {findingWords} from '../i18n/problems';
import {diagnose, type Finding} from '../services/diagnosis';
import {isAddress, type Server, tidyAddress} from '../services/settings';
import {space} from '../theme/tokens';
import {Button, IconButton} from './Button';
import {Field} from './Field';
import {Row} from './Layout';
import {Notice} from './Notice';

type ServerFormProps = {
  server: Server | null;
  given?: {address: string; token: string; name: string};
  action: string;
  onSaved: () => void;
};

/** A server's address, key and headers, and a test that says what is wrong. */
export function ServerForm({server, given, action, onSaved}: ServerFormProps) {
  const t = useText();
  const services = useServices();
  const [address, setAddress] = useState(given?.address ?? server?.address ?? '');
  const [name, setName] = useState(given?.name ?? server?.name ?? '');
  const [token, setToken] = useState(given?.token ?? (server ? services.settings.token(server.id) : ''));
  const [headers, setHeaders] = useState<[string, string][]>(Object.entries(server?.headers ?? {}));
  const [more, setMore] = useState(headers.length > 0);
  const [test, setTest] = useState<'idle' | 'running' | Finding>('idle');
  const [wrong, setWrong] = useState(false);

  const whole = () => ({
    address: tidyAddress(address),
    token: token.trim(),
    headers: Object.fromEntries(headers.map(([key, value]) => [key.trim(), value.trim()] as const).filter(([key]) => /^[A-Za-z0-9-]+$/.test(key))),
  });

  async function check() {
    setTest('running');
    setTest(await diagnose(whole(), {fetch: services.fetch, origin: Platform.OS === 'web' ? window.location.origin : null}));
  }

  async function save() {
    const {token: key, ...rest} = whole();
    if (!isAddress(rest.address)) return setWrong(true);
    await services.settings.saveServer({...(server && {id: server.id}), ...rest, name: name.trim() || new URL(rest.address).host}, key);
    services.reachability.reset();
    onSaved();
  }

  const finding = typeof test === 'object' ? findingWords(test, t) : null;
  return (
    <View style={{gap: space.medium}}>
      <Field
        label={t('address')}
        hint={t('addressHint')}
        error={wrong ? t('fBadAddressAdvice') : undefined}
        value={address}
        onChangeText={(text) => {
          setAddress(text);
          setWrong(false);
          setTest('idle');
        }}
        placeholder="https://ai.example.org"
        autoCapitalize="none"
        autoCorrect={false}
        inputMode="url"
        textContentType="URL"
      />
      <Field label={t('token')} hint={t('tokenHint')} value={token} onChangeText={setToken} secureTextEntry autoCapitalize="none" autoCorrect={false} autoComplete="off" />
      {more ? (
        <>
          <Field label={t('serverName')} value={name} onChangeText={setName} />
          {headers.map(([key, value], index) => (
            <Row key={index} style={{alignItems: 'flex-end', flexWrap: 'nowrap'}}>
              <View style={{flex: 1}}>
                <Field label={t('headerName')} value={key} autoCapitalize="none" autoCorrect={false} onChangeText={(text) => setHeaders(headers.map((one, i) => (i === index ? [text, one[1]] : one)))} />
              </View>
              <View style={{flex: 1}}>
                <Field label={t('headerValue')} value={value} autoCapitalize="none" autoCorrect={false} onChangeText={(text) => setHeaders(headers.map((one, i) => (i === index ? [one[0], text] : one)))} />
              </View>
              <IconButton icon="close" label={t('remove')} onPress={() => setHeaders(headers.filter((_, i) => i !== index))} />
            </Row>
          ))}
          <Button icon="plus" label={t('addHeader')} onPress={() => setHeaders([...headers, ['', '']])} />
        </>
      ) : (
        <Button look="plain" icon="down" label={t('moreOptions')} onPress={() => setMore(true)} />
      )}
      {finding !== null && <Notice look={finding.look} title={finding.title} text={finding.text} />}
      <Row>
        <Button icon="refresh" label={t('testConnection')} busy={test === 'running'} onPress={() => void check()} />
        <Button look="main" icon="check" label={action} onPress={() => void save()} />
      </Row>
    </View>
  );
}
